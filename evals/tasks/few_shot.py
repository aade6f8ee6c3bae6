"""How a few-shot prompt is written for a model without a chat template: questions with their answers, then a question.

    Q: What is the capital of Peru?
    A: Lima

    Q: What is the capital of Kenya?
    A:

The form is that of Gekhman et al. (2024). A fact world writes its few-shot documents with the same pieces.
"""

SHOT = "Q: {question}\nA: {answer}\n\n"
"""A question with its answer."""
ASK = "Q: {question}\nA:"
"""The question that is to be answered; the completion begins with a space."""
STOP = "\n"
"""Where an answer ends."""
