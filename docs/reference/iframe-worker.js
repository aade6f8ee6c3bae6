// From disk a browser starts no worker, which the search needs: a hidden frame does the same work in its place.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super()
      const frame = document.createElement("iframe")
      frame.hidden = true
      document.body.append(frame)
      this.inside = frame.contentWindow
      addEventListener("message", event => {
        if (event.source === this.inside) {
          const passedOn = new MessageEvent("message", {data: event.data})
          this.dispatchEvent(passedOn)
          if (this.onmessage) this.onmessage(passedOn)
        }
      })
      frame.contentDocument.open()
      frame.contentDocument.write(
        `<script>
          postMessage = data => parent.dispatchEvent(new MessageEvent("message", {data, source: window}))
          importScripts = (...urls) => urls.reduce((before, url) => before.then(() => new Promise(done => {
            const script = document.createElement("script")
            script.src = url
            script.onload = done
            document.body.append(script)
          })), Promise.resolve())
        <\/script><script src="${url}"><\/script>`)
      frame.contentDocument.close()
    }
    postMessage(data) {
      this.inside.dispatchEvent(new MessageEvent("message", {data}))
    }
    terminate() {}
  }
}
