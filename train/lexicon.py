"""Word pairs for controlled edits: opposites and relations (false when swapped), synonyms (true when
swapped). WordNet's, in `wordnet.tsv`, are beside them."""

from pathlib import Path

OPPOSITES = """
increase decrease|increases decreases|increased decreased|increasing decreasing|rise fall|rises falls
rose fell
rising falling|grow shrink|grew shrank|growth decline|gain loss|gained lost|win lose|wins loses|won lost
winner loser
before after|above below|over under|inside outside|into from|earlier later|early late|first last
oldest youngest
older younger|old new|young old|largest smallest|larger smaller|large small|big small|biggest smallest
great minor
high low|higher lower|highest lowest|long short|longer shorter|longest shortest|long-term short-term
most least
more fewer|more less|many few|maximum minimum|upper lower|top bottom|front back|left right|north south
east west
northern southern|eastern western|northeast southwest|northwest southeast|open closed|opened closed
opening closing
start end|started ended|starts ends|begin finish|began ended|begins ends|beginning end|accept reject
accepted rejected|allow forbid|allows prohibits|allowed prohibited|permit prohibit|permitted prohibited
approve reject|approved rejected|support oppose|supports opposes|supported opposed|supporter opponent
supporters opponents|agree disagree|agreed disagreed|love hate|loved hated|like dislike|success failure
successful unsuccessful|successfully unsuccessfully|succeed fail|succeeded failed|buy sell|bought sold
buyer seller
import export|imports exports|imported exported|borrow lend|teacher student|parent child|parents children
mother father|husband wife|brother sister|son daughter|sons daughters|king queen|man woman|men women
male female
boy girl|boys girls|he she|his her|uncle aunt|attack defend|attacked defended|defeated surrendered to
enemy ally
enemies allies|war peace|life death|alive dead|born died|birth death|hot cold|warm cool|summer winter
spring autumn
day night|morning evening|light dark|black white|wet dry|hard soft|strong weak|stronger weaker
strength weakness
strengthened weakened|fast slow|faster slower|quickly slowly|easy difficult|easier harder|simple complex
cheap expensive|rich poor|safe dangerous|legal illegal|public private|domestic foreign|national local
internal external|natural artificial|positive negative|good bad|better worse|best worst|benefit harm
beneficial harmful|advantage disadvantage|advantages disadvantages|include exclude|includes excludes
included excluded|including excluding|add remove|added removed|adding removing|create destroy
created destroyed
build demolish|built demolished|appear disappear|appeared disappeared|arrive leave|arrived left|enter leave
entered left|join leave|joined left|remember forget|known unknown|possible impossible|able unable
necessary optional
required optional|mandatory voluntary|certain uncertain|true false|correct incorrect|similar different
same different|equal unequal|common rare|commonly rarely|popular unpopular|famous obscure|often rarely
frequently rarely|usually seldom|always never|all none|everyone nobody|everything nothing|major minor
primary secondary|main minor|full empty|heavy light|wide narrow|wider narrower|deep shallow|thick thin
ancient modern|traditional modern|temporary permanent|direct indirect|directly indirectly|active passive
urban rural|liberal conservative|democratic republican|protestant catholic|offensive defensive|offense defense
majority minority|ascending descending|forward backward|forwards backwards|up down|on off|enable disable
enabled disabled|connect disconnect|connected disconnected|lock unlock|expand contract|expanded contracted
expansion contraction|encourage discourage|encouraged discouraged|improve worsen|improved worsened
improves worsens|hire fire|hired fired|employer employee|employers employees|landlord tenant|doctor patient
doctors patients|plaintiff defendant|credit debit|asset liability|assets liabilities|income expense
profit loss
profits losses|revenue costs|deposit withdraw|deposits withdrawals|predator prey|acid base|solid liquid
absorb release|absorbs releases|absorbed released|heating cooling|heat cold|import export|send receive
sent received
sends receives|give take|gave took|gives takes|given taken|ask answer|asked answered|push pull|raise lower
raised lowered|raises lowers|save spend|saved spent|lead follow|led followed|leading trailing
preceded followed
precedes follows|caused prevented|causes prevents|cause prevent|promote hinder|promotes hinders
protect endanger
protects endangers|attract repel|attracted repelled|victory defeat|victories defeats|hero villain
guilty innocent
present absent|optimistic pessimistic|confident doubtful|happy sad|happily sadly|loud quiet|noisy quiet
beautiful ugly|clean dirty|sweet bitter|sharp dull|smooth rough|tight loose|raw cooked|fresh stale
sufficient lacking
adequate inadequate|visible invisible|regular irregular|formal informal|official unofficial
reliable unreliable
stable unstable|fair unfair|healthy unhealthy|relevant irrelevant|dependent independent|voluntary compulsory
upstream downstream|indoor outdoor|indoors outdoors|horizontal vertical|vertically horizontally|inner outer
senior junior|superior inferior|import export|widely narrowly|exceeded missed|exceed miss|above below
plus minus
premiered ended|directed produced|wrote directed|written directed|director producer|author editor
actor director
singer dancer|novel film|book movie|album single|invented rejected|discovered overlooked|founded dissolved
established abolished|founder critic|elected defeated|appointed dismissed|married divorced|conquered lost
independent colonial|unified divided|unite divide|united divided|acquired sold|merged split|launched cancelled
annual monthly|weekly monthly|daily weekly|yearly monthly|hours minutes|minutes seconds|days weeks
weeks months
months years|decades centuries|kilometers miles|meters feet|tablespoon teaspoon|cups tablespoons
million billion
thousand million|percent points|oven freezer|boil freeze|melt freeze|remove keep|avoid use|avoid seek
mix separate
""".replace("\n", "|")
"""Pairs `a b`; the last may be a phrase. Swapping either way makes most sentences false."""

SCOPE = """
all some|all many|every some|each some|both neither|only also|only mainly|always sometimes|always usually
never sometimes|never often|must may|must can|will may|will might|required encouraged|some all|many all
most all
several all|few most|often always|usually always|sometimes always|may must|might will|could will|can must
first second
first third|second first|third first|last first|first only|at least|at most|up to|exactly only|more than
less than
fewer than|more than|at least exactly|approximately exactly|about exactly|nearly exactly|almost completely
partly entirely|partially fully|mostly entirely|largely entirely|entirely partly|completely partly
fully partially
one every|either both|any no|no every|generally always|rarely always|typically always|likely certainly
possibly certainly|probably certainly|main only|primary only
""".replace("\n", "|")
"""Pairs `a b` in one direction: replacing a by b changes the scope or the certainty of a claim."""

SYNONYMS = """
begin start|began started|begins starts|end finish|ended finished|large big|larger bigger|largest biggest
small little|help assist|helped assisted|helps assists|buy purchase|bought purchased|buys purchases
show demonstrate
shows demonstrates|showed demonstrated|use utilize|used utilized|uses utilizes|get obtain|obtained received
make create
made created|makes creates|need require|needs requires|needed required|about approximately
around approximately
also additionally|because since|but however|many numerous|several a number of|important significant
significant major|quick fast|quickly rapidly|rapidly quickly|car automobile|film movie|movie film
kids children
children kids|doctor physician|doctors physicians|job occupation|near close to|often frequently
frequently often
people individuals|persons people|person individual|begin commence|big large|bigger larger|biggest largest
near next to|famous well-known|popular well-liked|happen occur|happens occurs|happened occurred
occurred took place
occurs takes place|located situated|situated located|build construct|built constructed|building structure
die pass away
died passed away|live reside|lives resides|lived resided|speak talk|ask request|asked requested|tell inform
told informed|said stated|says states|stated said|think believe|thinks believes|thought believed|try attempt
tried attempted|keep maintain|keeps maintains|kept maintained|give provide|gives provides|gave provided
provide offer|provides offers|provided offered|offers provides|choose select|chose selected|chosen selected
change alter|changed altered|allow permit|allows permits|allowed permitted|permits allows|include contain
includes contains|included contained|whole entire|entire whole|main primary|primary main|major important
various different|different distinct|difficult hard|hard difficult|easy simple|simple easy|wealthy rich
rich wealthy
injured hurt|fast quick|smart intelligent|error mistake|errors mistakes|answer response|goal objective
goals objectives|method approach|methods approaches|part portion|parts portions|usually typically
typically usually
generally usually|commonly often|primarily mainly|mainly primarily|mostly mainly|almost nearly|nearly almost
over more than|under less than|each every|every each|while whereas|although though|though although
therefore thus
thus therefore|until till|toward towards|among amongst|whilst while|percent %|television TV|created made
known called|called named|named called|won secured
defeated beat|beat defeated|joined became part of|led headed|founded established|established founded
wrote authored
appeared featured|released issued|received got|became turned into|remained stayed|left departed
returned came back
moved relocated|grew increased|rose increased|fell declined|dropped fell|declined fell|improve enhance
improved enhanced|improves enhances|reduce lower|reduced lowered|reduces lowers|increase raise
ensure guarantee
ensures guarantees|discuss talk about|discusses talks about|explain describe|explains describes
explained described
mention note|mentions notes|mentioned noted|highlight emphasize|highlights emphasizes|customers clients
clients customers
firm company|company firm|companies firms|area region|region area|areas regions|city town|employees workers
workers employees
""".replace("\n", "|")
"""Pairs `a b` in one direction: replacing a by b keeps most sentences true."""

OPENERS = (
    "According to the passage, ", "According to the provided passages, ", "Based on the given passages, ",
    "Based on the provided context, ", "The passage states that ", "The text mentions that ",
    "It is stated that ",
    "Additionally, ", "Furthermore, ", "In addition, ", "Also, ", "However, ", "Overall, ", "In summary, ",
    "Yes, ", "It is important to note that ", "Note that ", "Specifically, ", "For example, ", "Therefore, ",
    "Passage 1 states that ", "As mentioned in passage 2, ", "To answer the question, ",
)  # fmt: skip
"""Ways in which answers begin a sentence: they carry no claim of their own."""

MARKERS = ("- ", "* ", "1. ", "2. ", "3. ", "4. ", "5) ", "• ", "Step 1: ", "Step 3: ")
"""How list items begin."""


def pairs(table: str) -> list[tuple[str, str]]:
    """The pairs of a table: first word, and the word or phrase that replaces it."""
    found = []
    for entry in table.split("|"):
        words = entry.split()
        if len(words) >= 2:
            found.append((words[0], " ".join(words[1:])))
    return list(dict.fromkeys(found))


def table(source: str, *, both_ways: bool) -> dict[str, list[str]]:
    """From each word (lower case) to what may stand in its place."""
    result: dict[str, list[str]] = {}
    for a, b in pairs(source):
        result.setdefault(a.lower(), []).append(b)
        if both_ways and " " not in b:
            result.setdefault(b.lower(), []).append(a)
    return result


def wordnet(kind: str) -> dict[str, list[str]]:
    """From each word of `wordnet.tsv` to what may stand in its place; kind is `opposite` or `synonym`."""
    result: dict[str, list[str]] = {}
    for line in (Path(__file__).parent / "wordnet.tsv").read_text(encoding="utf-8").splitlines():
        of, a, b = line.split("\t")
        if of == kind:
            result.setdefault(a, []).append(b)
    return result
