"""Word lists for reading an answer. All are folded: lower case, no accents, no apostrophes."""


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


# Words that carry a sentence and are no part of a name. A run of capitalised words ends at one of them.
VERBS = _set(
    """is was are were be been being am isnt wasnt arent werent has have had having does did do doesnt didnt dont can
    could cant couldnt will would wont wouldnt shall should shouldnt might must became become becomes remains remained
    lies lay stands stood means meant seems says said refers its hes shes theyre thats whos id ill im ive were youre"""
)
PRONOUNS = _set(
    """i it he she they we you this that these those which who whom whose what where when why how there here his her
    their my your our him them its"""
)
PREPOSITIONS = _set(
    """in on at by of for from to with without within into onto over under between among around about as after before
    since until during through across near via per like unlike against toward towards behind beyond despite due
    according"""
)
JOINERS = _set(
    """and or but nor so yet because while whereas although though if unless than whether either neither both also plus
    however therefore thus hence then rather instead not never no too perhaps maybe"""
)
DETERMINERS = _set("the a an some any all each every another one its his her their my our your this that")
FUNCTION = VERBS | PRONOUNS | PREPOSITIONS | JOINERS | DETERMINERS

# A phrase that starts with one of these after a comma describes; it does not name another answer.
ROLES = _set(
    """president king queen prime minister emperor empress prince princess duke duchess earl count baron lord lady sir
    saint pope bishop archbishop chancellor governor senator mayor general colonel captain chairman ceo cto cfo founder
    cofounder director author writer poet novelist playwright actor actress singer musician composer painter artist
    scientist physicist chemist mathematician philosopher professor doctor capital city town village state country
    river"""
)
TITLES = _set(
    "mr mrs ms miss dr prof rev reverend dame hon sheikh imam rabbi father sister brother justice judge admiral major"
    " lieutenant sergeant private vice deputy actual acting us american british english french german italian spanish"
)
ASIDES = _set(
    """born died formerly originally officially currently now today yes yeah yep sure well okay ok hmm hello hi sorry
    please thanks thank indeed etc answer hint note nope no alas oh ah today"""
)
# Words of doubt around an answer: "or maybe London" offers London.
HEDGES = _set(
    """either maybe perhaps possibly probably likely also even alternatively else both just it its is was are could
    might may be been i id think believe guess say that thats most more potentially presumably roughly about around
    approximately im pretty fairly quite sure would"""
)
SUFFIXES = _set(
    "jr sr junior senior inc ltd llc co corp corporation company plc gmbh phd md esq dds rn ad bc ce bce am pm"
)
# What may follow a name inside the same capitalised run without naming something else.
GENERIC_AFTER = SUFFIXES | _set(
    """city river county province prefecture island islands mountains state republic language band group records music
    film movie novel peninsula desert ocean sea municipality district region territory metro airport"""
)
# What a gold may end with and an answer may leave out ("rock music", "Columbia Records").
GENERIC_END = _set("music records film language inc ltd llc corp corporation company plc gmbh co")
# What changes a name when it stands before it ("West Virginia", "vice president"). Lower-case "northern Italy" does
# not.
MODIFIERS = _set(
    "new north south east west papua equatorial vice half step ex former deputy assistant non anti grand great"
)
COMPASS = _set(
    "northern southern eastern western central northeastern northwestern southeastern southwestern old middle"
)
# "X of GOLD" names GOLD when X is one of these, else it names X ("University of Minnesota").
HEADS = _set(
    """city town village state province county republic kingdom island islands commonwealth principality duchy
    federation district region municipality union territory borough department capital country river lake sea north
    south east west centre center people peoples"""
)
KIN = _set(
    "wife husband son daughter father mother brother sister spouse widow child parent friend rival opponent enemy"
)
ABBREVIATIONS = {"st": "saint", "mt": "mount", "ft": "fort", "jr": "junior", "sr": "senior", "dr": "doctor"}
# A full stop after one of these does not end a sentence.
NO_STOP = _set(
    "st mt ft dr mr mrs ms jr sr prof gen col lt sgt capt rev hon vs inc ltd co fig vol approx ca c al cf "
    "jan feb mar apr jun jul aug sep sept oct nov dec"
)
_NUMBER_WORDS = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen
    sixteen seventeen eighteen nineteen twenty"""
NUMBER_WORDS = {word: str(value) for value, word in enumerate(_NUMBER_WORDS.split())}
MAGNITUDES = _set("hundred thousand million billion trillion percent k m bn lakh crore dozen")
NEGATIONS = _set(
    """not never nor neither cannot cant isnt wasnt arent werent doesnt didnt dont wont wouldnt couldnt shouldnt hasnt
    havent aint without excluding nicht kein keine"""
)
# "not sure it is Paris" and "no doubt it is Paris" do not deny Paris.
NO_DENIAL = _set(
    "sure certain positive confident clear entirely completely totally absolutely exactly just only merely"
)
# Someone who opens a sentence with one of these and names nothing has not answered yet.
OPENERS = _set(
    """i im ive id let lets well sure okay ok hmm um ah oh thanks thank great good excellent interesting hello hi sorry
    unfortunately honestly yes no this to based given after looking thinking"""
)
PREAMBLE_ENDS = _set(
    """question sure certain know remember recall think see help try started course step request information this that
    it you answer confident positive one say thought moment"""
)
OR_WORDS = _set("or oder ou o")
PARTICLES = _set(
    "of de da do dos du del della di la le los las van von der den ter bin ibn al el the y e san santa st"
)
POLAR = {"yes": "yes", "no": "no", "true": "yes", "false": "no", "yeah": "yes", "yep": "yes", "nope": "no"}
