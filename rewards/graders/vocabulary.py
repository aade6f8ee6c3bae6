"""The words that a reading knows, by the part that they can play in a reply; all folded.

English, and the small words of its neighbours. Whatever stands here is never a candidate.
"""

# The parts. A piece that is none of these is a sign ("x").
ANSWER, NAME, WORD, NUMBER, SCRIPT, ASKED, PLACE, SAID = "GNw9UqPk"
BE, VERB, PRONOUN, DETERMINER, PREPOSITION, HEDGE, ASIDE = "cvidpha"
OR, AND, NOT, WHO, MORE, GENERIC, BUT, TITLE = "oe!rmgbt"
COMMA, STOP, COLON, OPEN, CLOSE, DASH, LINE, SIGN = ",.:()-nx"


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_WORDS = {
    BE: """
        are be become becomes been being equals era es est is ist remain remained remains ser sind son was
        were è é
    """,  # what is said to be so
    VERB: """
        based beat became began begin born bought broke brought built buried called came caught chose comes
        composed consists contains created cut did died directed discovered drew drove ends established felt
        filmed flew fought found founded froze gave grew had happens has have held hit includes invented
        involves kept knew known lay led left lies lived lives located lost made means meant met named
        occurs paid painted performed played plays produced published put raised ran received recorded
        refers released rode rose ruled sang sank sent set shot signed situated slept slew sold sought spent
        spoke stands states stole stood sung swam takes taught thought threw titled told took went won wore
        worked works written wrote
    """,  # verbs that a name may be the object of; those in -ed are known by their form
    PRONOUN: """
        he here i id ill it ive one's she that there these they this those we who's you
    """,
    DETERMINER: """
        a an das der die ein eine el her his il its la las le les lo los my o os our some the their uma un
        une your
    """,
    PREPOSITION: """
        across after am among as at au aux before behind bei between by dans del du during em for from im in
        into na of on onto over para por through to toward towards under until von with within zu à
    """,
    HEDGE: """
        about actually almost also always another apparently appears approx approximately around assume
        believe best ca can certain certainly circa clearly commonly confident correct could currently
        definitely do does earlier exactly fairly final formally frequently generally go going greater guess
        hence highly just later likely looks mainly many may maybe metropolitan might more most mostly must
        nearly next normally notable now obviously officially often only originally other others perhaps
        possibly presumably pretty previous primarily probably quite really recall remember response result
        roughly say seem seems several should simply so sometimes sounds still suppose supposedly surely
        suspect then therefore think thus today traditionally true typically undoubtedly usually very widely
        will would
    """,  # doubt, assurance, manner and time: what may stand anywhere in a frame
    ASIDE: """
        ah aha alas alright answer conclude conclusion er etc good great hello hey hi hint hmm indeed let me
        nope note oh ok okay please question right see sorry sure thank thanks uh um well yeah yep yes
    """,
    OR: """
        alternatively and/or either else failing oder or otherwise ou vel versus vs xor または もしくは
    """,
    AND: """
        and e en et och plus und y
    """,
    NOT: """
        aint anyone anything arent cannot cant couldnt debunked didnt disproved doesnt dont doubtful
        everyone except excluded false hasnt havent impossible incorrect isnt kein keine neither never nicht
        no nobody none nor not nothing refuted rejected shouldnt unlikely wasnt werent without wont wouldnt
        wrong
    """,
    WHO: """
        although because how if since though what when where whereas which while who whom whose why
    """,  # what begins a clause of its own
    MORE: """
        across close next opposite past toward towards
        against besides beyond excluding followed formerly near opposed outside preceded previously
        succeeded than unlike
    """,  # what gives a name after it another role
    GENERIC: """
        band borough city commonwealth country county department district group island islands kingdom lake
        mountain municipality province region republic river sea state territory town village
    """,  # kinds of places
    BUT: """
        but however yet
    """,
    TITLE: """
        acting actual admiral american archbishop baron bishop british brother captain chancellor colonel
        count dame deputy doctor dr duchess duke earl emperor empress english father french general german
        governor hon imam italian judge justice king lady lieutenant lord major mayor minister miss mr mrs
        ms pope president prime prince princess private prof professor queen rabbi rev reverend saint
        senator sergeant sheikh sir sister spanish us vice
    """,
}
KNOWN = {word: part for part, words in _WORDS.items() for word in words.split()}
MONTHS = _set(
    """
    apr april aug august dec december feb february jan january jul july jun june nov november oct
    october sep sept september
    """
)
NUMBERS = _set(
    """
    billion dozen eight eighteen eighth second third eighty eleven eleventh fifteen fifth fifty five forty four
    fourteen fourth hundred million nine nineteen ninety ninth seven seventeen seventh seventy six
    sixteen sixth sixty ten tenth thirteen thirty thousand three trillion twelfth twelve twenty two
    zero
    """
)
