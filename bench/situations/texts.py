# ruff: noqa: E501 - sentences on a line of their own
"""What the small applications are about: twelve catalogues of things, with what can be said and asked of each.

In: nothing. Out: `CATALOGUES`. `{e}` stands for the thing, `{v}` for a value; `values` is a list, or a pattern
with `{n}` and the range it is counted through. All names and facts are invented.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Attribute:
    """One thing that can be known about every entity of a catalogue."""

    states: tuple[str, ...]
    """Sentences of a document."""
    asks: tuple[str, ...]
    """Questions; the shared words differ."""
    reworded: str
    """The same fact in other words."""
    values: tuple[str, ...]


@dataclass(frozen=True)
class Catalogue:
    """A subject: what it lists, how documents begin, what they say beside the facts."""

    name: str
    entities: tuple[str, ...]
    openings: tuple[str, ...]
    attributes: tuple[Attribute, ...]
    fillers: tuple[str, ...]
    unknown: tuple[str, ...]
    """Questions that no document of the catalogue answers."""


def counted(pattern: str, low: int, high: int, step: int) -> tuple[str, ...]:
    return tuple(pattern.format(n=n) for n in range(low, high + 1, step))


def _attribute(states: str, asks: str, reworded: str, values: tuple[str, ...]) -> Attribute:
    return Attribute(tuple(states.split(" | ")), tuple(asks.split(" | ")), reworded, values)


A = _attribute

CATALOGUES: tuple[Catalogue, ...] = (
    Catalogue(
        "dishwashers",
        tuple(
            "Brisa 400|Tundra 52|Pelican Duo|Nordlys 7|Cascade Mini|Aquila Pro|Sirocco 610|Fjord Slim|Marlin 33|"
            "Ondine XL|Kestra 90|Rivulet S|Osprey Max|Lagoon 12|Tidewater 5|Puffin Compact|Delta 880|Mistral Eco".split(
                "|"
            )
        ),
        (
            "The {e} is a freestanding dishwasher for private kitchens.",
            "This sheet describes the {e} dishwasher and its daily use.",
            "{e}: a dishwasher with a stainless steel tub and two spray arms.",
        ),
        (
            A(
                "The noise level of the {e} is {v} during the main wash. | At full load the {e} is rated at {v} of noise.",
                "How loud is the {e}? | What is the noise level of the {e}?",
                "During operation the {e} produces a sound level of {v}.",
                counted("{n} decibels", 36, 58, 1),
            ),
            A(
                "The {e} holds {v}. | There is room for {v} in the {e}.",
                "How many place settings fit into the {e}? | How much does the {e} hold?",
                "You can load {v} into the {e} at once.",
                counted("{n} place settings", 6, 24, 1),
            ),
            A(
                "One eco cycle of the {e} uses {v} of water. | In the eco programme the {e} takes {v} of water.",
                "How much water does the {e} use in an eco cycle? | What is the water consumption of the {e}?",
                "The {e} consumes {v} of water when the eco programme runs.",
                counted("{n} litres", 7, 27, 1),
            ),
            A(
                "The warranty of the {e} lasts {v} from the date of purchase. | The {e} is covered by a warranty of {v}.",
                "How long is the warranty of the {e}? | For how long is the {e} under warranty?",
                "The manufacturer's warranty on the {e} runs for {v}.",
                counted("{n} months", 18, 84, 3),
            ),
            A(
                "The filter of the {e} has to be rinsed every {v}. | Rinse the filter of the {e} every {v}.",
                "How often must the filter of the {e} be rinsed? | When do I have to clean the filter of my {e}?",
                "Rinsing the filter of the {e} is due every {v}.",
                counted("{n} days", 5, 40, 1),
            ),
            A(
                "The start of the {e} can be delayed by up to {v}. | The timer of the {e} delays the start by at most {v}.",
                "By how many hours can I delay the start of the {e}? | What is the longest delayed start on the {e}?",
                "With the {e} a delayed start of up to {v} is possible.",
                counted("{n} hours", 3, 24, 1),
            ),
        ),
        (
            "Place the machine on a level floor and adjust the feet before the first wash.",
            "Use only detergent that is meant for dishwashers, and refill the salt when the lamp lights up.",
            "Large pots belong in the lower basket with the opening facing down.",
            "The inlet hose must not be bent or shortened.",
        ),
        (
            "Which colours is the {e} sold in?",
            "Who invented the {e}?",
            "How much does the {e} cost at the moment?",
        ),
    ),
    Catalogue(
        "airlines",
        tuple(
            "Skylark Air|Polar Wings|Azul Norte|Baltica Jet|Meridian Air|Copperfly|Heron Airways|Lumen Air|Saffron Sky|"
            "Vega Regional|Juniper Air|Atlas Hop|Corvus Airlines|Tern Air|Monsoon Express|Larkspur Jet".split(
                "|"
            )
        ),
        (
            "These are the conditions of carriage of {e}.",
            "Passengers of {e} travel under the rules below.",
            "{e} publishes its baggage and ticket rules once a year.",
        ),
        (
            A(
                "A cabin bag on {e} may weigh up to {v}. | {e} accepts one cabin bag of at most {v}.",
                "How heavy may my cabin bag be on {e}? | What is the weight limit for hand luggage with {e}?",
                "Hand luggage on {e} is limited to {v}.",
                counted("{n} kilograms", 5, 21, 1),
            ),
            A(
                "Check-in with {e} closes {v} before departure. | {e} closes its check-in desks {v} before departure.",
                "When does check-in close on {e}? | How long before departure does {e} close check-in?",
                "You must have checked in with {e} no later than {v} before take-off.",
                counted("{n} minutes", 25, 100, 5),
            ),
            A(
                "Changing the name on a ticket of {e} costs {v}. | {e} charges {v} for a change of name on a ticket.",
                "What does a name change cost with {e}? | How much does {e} charge for changing the name on a ticket?",
                "A new name on your {e} ticket comes at a fee of {v}.",
                counted("{n} euros", 15, 160, 5),
            ),
            A(
                "A small dog in the cabin of {e} costs {v} per flight. | {e} takes small dogs in the cabin for {v} per flight.",
                "How much is it to take a small dog on board {e}? | What does {e} charge for a dog in the cabin?",
                "The fee for a small dog in the cabin of {e} is {v} each flight.",
                counted("{n} dollars", 32, 128, 4),
            ),
            A(
                "Children may fly alone with {e} from the age of {v}. | {e} lets children travel alone from the age of {v}.",
                "From which age may a child fly alone with {e}? | How old must children be to travel alone on {e}?",
                "The minimum age for a child to fly alone on {e} is {v}.",
                tuple(
                    "five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen".split()
                ),
            ),
            A(
                "Refund requests must reach {e} within {v} of the cancelled flight. | {e} accepts refund requests within {v} of a cancelled flight.",
                "Within what time must a refund be requested from {e}? | What is the deadline for refund requests at {e}?",
                "You have {v} after a cancelled flight to ask {e} for a refund.",
                counted("{n} days", 14, 120, 6),
            ),
        ),
        (
            "Seats can be chosen free of charge at the airport as long as there are any left.",
            "Liquids are subject to the security rules of the airport of departure.",
            "Meals are sold on board and can be paid by card.",
            "Musical instruments count as luggage unless a seat is bought for them.",
        ),
        (
            "What type of aircraft does {e} fly?",
            "Who is the chief executive of {e}?",
            "Does {e} show films on board?",
        ),
    ),
    Catalogue(
        "software",
        tuple(
            "Kestrel Queue|Marmot Cache|Finch Gateway|Otter Sync|Badger Auth|Heron Mailer|Lynx Search|Gecko Store|Raven Proxy|"
            "Stoat Scheduler|Ibis Forms|Tapir Export|Vole Metrics|Wren Uploads|Egret Billing|Newt Webhooks".split(
                "|"
            )
        ),
        (
            "{e} is a service of the platform; this page lists its defaults.",
            "Operating notes for {e}, for administrators.",
            "# {e}\n\nThis page is the reference of {e} for those who run it.",
        ),
        (
            A(
                "By default {e} listens on port {v}. | The default port of {e} is {v}.",
                "Which port does {e} listen on? | What is the default port of {e}?",
                "Unless configured otherwise, {e} is reachable on port {v}.",
                counted("{n}", 4100, 9800, 37),
            ),
            A(
                "A request to {e} times out after {v}. | {e} gives up on a request after {v}.",
                "After how long does a request to {e} time out? | What is the request timeout of {e}?",
                "Requests sent to {e} are aborted after {v}.",
                counted("{n} seconds", 4, 95, 3),
            ),
            A(
                "Uploads to {e} are limited to {v}. | {e} refuses uploads larger than {v}.",
                "How large may an upload to {e} be? | What is the upload limit of {e}?",
                "The largest upload that {e} takes is {v}.",
                counted("{n} megabytes", 12, 340, 8),
            ),
            A(
                "Log files of {e} are kept for {v}. | {e} deletes its log files after {v}.",
                "How long does {e} keep its log files? | What is the log retention of {e}?",
                "The log files of {e} are retained for {v}.",
                counted("{n} days", 7, 95, 4),
            ),
            A(
                "Since version {v}, {e} encrypts its backups. | {e} encrypts backups as of version {v}.",
                "Since which version does {e} encrypt backups? | In which version did {e} start to encrypt its backups?",
                "Backups of {e} have been encrypted from version {v} on.",
                tuple(f"{a}.{b}" for a in range(2, 7) for b in range(1, 8)),
            ),
            A(
                "{e} retries a failed job {v} times. | A failed job is retried {v} times by {e}.",
                "How many times does {e} retry a failed job? | How often is a failed job retried by {e}?",
                "When a job fails, {e} attempts it again {v} times.",
                counted("{n}", 2, 40, 2),
            ),
        ),
        (
            "Restart the service after every change of its configuration file.",
            "Metrics are exposed in the usual text format and can be scraped.",
            "The service writes warnings to its standard error stream.",
            "Secrets belong in the environment and never in the configuration file.",
        ),
        (
            "Which programming language is {e} written in?",
            "How many customers use {e}?",
            "Who maintains {e}?",
        ),
    ),
    Catalogue(
        "medicines",
        tuple(
            "Doravin|Calmetrex|Oxipanol|Fenoridin|Lupasert|Veltramol|Nasorin|Cetralix|Bromadel|Hepanorm|Sorvitan|Duraflex|"
            "Mirazole|Tavonex|Pulmetin|Gastrolin|Aldorex|Rimacept".split("|")
        ),
        (
            "Package leaflet: information for users of {e}.",
            "Read this leaflet before you take {e}.",
            "{e} is sold in pharmacies without a prescription.",
        ),
        (
            A(
                "The highest daily dose of {e} for adults is {v}. | Adults must not take more than {v} of {e} a day.",
                "What is the highest daily dose of {e} for adults? | How much {e} may an adult take in a day?",
                "For adults, the daily maximum of {e} is {v}.",
                counted("{n} milligrams", 120, 1500, 60),
            ),
            A(
                "Leave at least {v} between two doses of {e}. | Between two doses of {e} there must be at least {v}.",
                "How long must I wait between two doses of {e}? | What is the least interval between doses of {e}?",
                "Wait {v} or more before the next dose of {e}.",
                tuple(
                    "three hours|four hours|five hours|six hours|seven hours|eight hours|nine hours|ten hours|twelve hours|fourteen hours|sixteen hours|eighteen hours".split(
                        "|"
                    )
                ),
            ),
            A(
                "Once opened, {e} keeps for {v}. | After opening, {e} must be used within {v}.",
                "How long does {e} keep once it is opened? | Within what time must opened {e} be used?",
                "An opened pack of {e} is good for {v}.",
                counted("{n} days", 10, 120, 5),
            ),
            A(
                "Store {e} below {v}. | {e} must be stored below {v}.",
                "At what temperature should {e} be stored? | Below which temperature do I have to store {e}?",
                "Keep {e} at a temperature under {v}.",
                counted("{n} degrees", 6, 34, 1),
            ),
            A(
                "{e} takes effect after about {v}. | The effect of {e} sets in after about {v}.",
                "How quickly does {e} take effect? | After what time does {e} begin to act?",
                "It takes roughly {v} until {e} works.",
                counted("{n} minutes", 10, 120, 5),
            ),
            A(
                "Do not give {e} to children under {v}. | {e} is not suitable for children under {v}.",
                "Under which age must children not be given {e}? | From what age is {e} unsuitable for children?",
                "Children younger than {v} should not receive {e}.",
                tuple(
                    f"{n} years"
                    for n in (
                        "two",
                        "three",
                        "four",
                        "five",
                        "six",
                        "seven",
                        "eight",
                        "nine",
                        "ten",
                        "eleven",
                        "twelve",
                        "thirteen",
                        "fourteen",
                        "fifteen",
                        "sixteen",
                    )
                ),
            ),
        ),
        (
            "Keep all medicines out of the sight and reach of children.",
            "Talk to your doctor or pharmacist if a symptom gets worse.",
            "Do not use the product after the date printed on the carton.",
            "Tell your doctor about every other medicine that you take.",
        ),
        ("Which company makes {e}?", "Does {e} taste of strawberry?", "What does a pack of {e} cost?"),
    ),
    Catalogue(
        "bylaws",
        tuple(
            "Ashwick|Bramley Cross|Coldharbour|Dunmere|Eastgate|Fernhill|Gorsefield|Hollowbrook|Ivybridge Vale|Kingsmoor|"
            "Larkhaven|Millbeck|Northgrove|Oakhampton|Pinecroft|Quarrytown|Redwater".split("|")
        ),
        (
            "Municipal bylaws of {e}, consolidated text.",
            "The council of {e} has adopted the following rules.",
            "These rules apply within the limits of the town of {e}.",
        ),
        (
            A(
                "In {e} the night rest begins at {v}. | The night rest in {e} begins at {v}.",
                "When does the night rest begin in {e}? | From what time must it be quiet in {e}?",
                "Night rest in {e} starts at {v}.",
                tuple(f"{h}.{m} in the evening" for h in (8, 9, 10, 11) for m in ("00", "15", "30", "45")),
            ),
            A(
                "Walking a dog off the leash in {e} is fined with {v}. | {e} fines dogs off the leash with {v}.",
                "What is the fine for a dog off the leash in {e}? | How much does it cost to be caught with a dog off the leash in {e}?",
                "Anyone whose dog is off the leash in {e} pays a fine of {v}.",
                counted("{n} crowns", 120, 990, 30),
            ),
            A(
                "Hedges along footpaths in {e} must not exceed {v}. | In {e} a hedge along a footpath may be at most {v} high.",
                "How high may a hedge along a footpath be in {e}? | What is the height limit for hedges in {e}?",
                "The limit for hedges beside footpaths in {e} is {v}.",
                counted("{n} centimetres", 95, 235, 5),
            ),
            A(
                "A resident parking permit in {e} costs {v} a year. | {e} issues resident parking permits for {v} a year.",
                "How much is a resident parking permit in {e}? | What do residents of {e} pay for parking each year?",
                "Residents of {e} pay {v} annually for a parking permit.",
                counted("{n} crowns", 310, 1890, 55),
            ),
            A(
                "Garden fires in {e} are allowed in {v} only. | {e} allows garden fires only in {v}.",
                "In which month are garden fires allowed in {e}? | When may I light a garden fire in {e}?",
                "Only in {v} may garden fires be lit in {e}.",
                tuple(
                    "January February March April May June July August September October November December".split()
                )
                + tuple(
                    "early March|late March|early October|late October|mid April|mid November".split("|")
                ),
            ),
            A(
                "Bulky waste in {e} must be registered {v} ahead. | {e} collects bulky waste that was registered {v} ahead.",
                "How far ahead must bulky waste be registered in {e}? | How long in advance do I register bulky waste in {e}?",
                "Register bulky waste in {e} {v} in advance.",
                counted("{n} days", 3, 33, 1),
            ),
        ),
        (
            "The council may grant exceptions on written request.",
            "Whoever breaks these rules is first given a warning.",
            "Notices are posted on the board beside the town hall.",
            "These bylaws do not apply to emergency services.",
        ),
        ("Who is the mayor of {e}?", "How many inhabitants does {e} have?", "When was {e} founded?"),
    ),
    Catalogue(
        "libraries",
        tuple(
            "Harbour Library|Chestnut Library|Mill Lane Library|Observatory Library|Canal Street Library|Foundry Library|"
            "Orchard Library|Lighthouse Library|Saint Brigid Library|Tramway Library|Weaver Library|Granary Library|"
            "Botanic Library|Signal Box Library|Old Mint Library".split("|")
        ),
        (
            "{e} is open to everyone who lives or works in the district.",
            "House rules of the {e}.",
            "Welcome to the {e}; please read what follows before you borrow.",
        ),
        (
            A(
                "At the {e} up to {v} may be borrowed at a time. | The {e} lends up to {v} at a time.",
                "How many books may I borrow from the {e}? | What is the borrowing limit at the {e}?",
                "Readers of the {e} can take home {v} at once.",
                counted("{n} books", 4, 42, 2),
            ),
            A(
                "A late return at the {e} costs {v} a day. | The {e} charges {v} for each day a book is late.",
                "What does a late return cost at the {e}? | How high is the late fee at the {e}?",
                "Every day of delay costs {v} at the {e}.",
                counted("{n} cents", 10, 95, 5),
            ),
            A(
                "A colour print at the {e} costs {v} a page. | The {e} takes {v} for a page printed in colour.",
                "How much is a colour print at the {e}? | What does the {e} charge for a page in colour?",
                "Printing a page in colour costs {v} at the {e}.",
                counted("{n} pence", 12, 78, 3),
            ),
            A(
                "Study rooms of the {e} can be booked for {v} a day. | The {e} lets readers book a study room for {v} a day.",
                "For how long can I book a study room at the {e}? | How many minutes a day may a study room of the {e} be booked?",
                "You may reserve a study room in the {e} for {v} daily.",
                counted("{n} minutes", 30, 240, 15),
            ),
            A(
                "The {e} opens at {v} on Saturdays. | On Saturdays the {e} opens at {v}.",
                "When does the {e} open on Saturdays? | What is the Saturday opening time of the {e}?",
                "Saturday opening time at the {e} is {v}.",
                tuple(f"{h}.{m}" for h in (8, 9, 10, 11) for m in ("00", "15", "30", "45")),
            ),
            A(
                "Lost cards of the {e} are replaced for {v}. | The {e} replaces a lost card for {v}.",
                "What does a new card cost when I lose mine at the {e}? | How much is the replacement of a lost card of the {e}?",
                "Replacing a lost card costs {v} at the {e}.",
                counted("{n} pounds", 2, 19, 1),
            ),
        ),
        (
            "Please switch telephones to silent in the reading room.",
            "Bags larger than a sheet of paper go into the lockers at the entrance.",
            "Food stays outside, drinks are welcome in closed bottles.",
            "Staff at the desk help with catalogues and databases.",
        ),
        (
            "Who designed the building of the {e}?",
            "How many visitors did the {e} have last year?",
            "Does the {e} have a cat?",
        ),
    ),
    Catalogue(
        "offices",
        tuple(
            "Lisbon|Tallinn|Porto|Ghent|Turin|Graz|Malmo|Leeds|Utrecht|Krakow|Seville|Aarhus|Lyon|Bergen|Zagreb|Basel".split(
                "|"
            )
        ),
        (
            "Working conditions at the {e} office.",
            "This annex to the handbook holds for everyone employed at the {e} office.",
            "The {e} office follows the general handbook except where this page says otherwise.",
        ),
        (
            A(
                "Employees of the {e} office have {v} of paid leave a year. | The {e} office grants {v} of paid leave a year.",
                "How much paid leave do employees of the {e} office have? | How many days off a year do I get at the {e} office?",
                "Staff in {e} are entitled to {v} of paid leave each year.",
                counted("{n} days", 21, 39, 1),
            ),
            A(
                "The probation period at the {e} office is {v}. | New colleagues at the {e} office are on probation for {v}.",
                "How long is the probation period at the {e} office? | For how long is one on probation at the {e} office?",
                "Probation lasts {v} for those who join the {e} office.",
                counted("{n} weeks", 6, 36, 2),
            ),
            A(
                "The meal allowance at the {e} office is {v} a day. | The {e} office pays a meal allowance of {v} a day.",
                "How high is the meal allowance at the {e} office? | What does the {e} office pay for meals per day?",
                "Each day the {e} office contributes {v} towards meals.",
                tuple(f"{n}.{c} euros" for n in range(6, 14) for c in ("20", "50", "80")),
            ),
            A(
                "Laptops at the {e} office are replaced every {v}. | The {e} office replaces laptops every {v}.",
                "How often are laptops replaced at the {e} office? | After what time do I get a new laptop at the {e} office?",
                "At the {e} office a laptop is exchanged every {v}.",
                counted("{n} months", 20, 62, 2),
            ),
            A(
                "The notice period at the {e} office is {v}. | Whoever leaves the {e} office gives notice {v} ahead.",
                "What is the notice period at the {e} office? | How much notice must I give when I leave the {e} office?",
                "Leaving the {e} office takes a notice of {v}.",
                counted("{n} days", 14, 98, 4),
            ),
            A(
                "Travel above {v} needs the approval of the head of the {e} office. | The head of the {e} office approves travel above {v}.",
                "Above what amount does travel need approval at the {e} office? | From which sum on must the head of the {e} office approve travel?",
                "At the {e} office, trips that cost more than {v} require approval by its head.",
                counted("{n} euros", 220, 1900, 60),
            ),
        ),
        (
            "Expenses are handed in by the fifth of the following month.",
            "Visitors sign in at the reception and wear a badge.",
            "Sick leave is reported to the team lead before nine in the morning.",
            "The kitchen is cleaned by a rota that hangs on the door.",
        ),
        (
            "How many people work at the {e} office?",
            "What is the street address of the {e} office?",
            "Is there a gym in the {e} office?",
        ),
    ),
    Catalogue(
        "ferries",
        tuple(
            "the Skerry Line|the Sound Shuttle|the Gull Route|the Amber Line|the Stormglass Ferry|the Pilot Line|the Northhead Ferry|"
            "the Cormorant Route|the Seal Island Ferry|the Beacon Line|the Halfmoon Crossing|the Narrows Ferry|the Breakwater Line|"
            "the Sandbar Shuttle|the Outer Isles Ferry".split("|")
        ),
        (
            "Timetable and fares of {e}.",
            "Passenger information for {e}.",
            "Please read these notes before you board {e}.",
        ),
        (
            A(
                "A crossing on {e} takes {v}. | The journey on {e} takes {v}.",
                "How long does a crossing on {e} take? | What is the travel time on {e}?",
                "Expect to be under way for {v} on {e}.",
                counted("{n} minutes", 15, 160, 7),
            ),
            A(
                "The first boat of {e} leaves at {v}. | On weekdays {e} starts at {v}.",
                "When does the first boat of {e} leave? | At what time does {e} start on weekdays?",
                "The earliest departure of {e} is at {v}.",
                tuple(f"{h}.{m}" for h in (5, 6, 7, 8) for m in ("05", "20", "35", "50")),
            ),
            A(
                "A bicycle on {e} costs {v}. | For a bicycle {e} charges {v}.",
                "What does it cost to take a bicycle on {e}? | How much is a bicycle on {e}?",
                "Bringing a bicycle aboard {e} costs {v}.",
                tuple(f"{n}.{c} euros" for n in range(2, 10) for c in ("10", "40", "90")),
            ),
            A(
                "Cars must be in line for {e} {v} before departure. | For {e} cars have to queue {v} before departure.",
                "How early must a car be in line for {e}? | How long before departure do cars have to queue for {e}?",
                "With a car, be at the quay of {e} {v} ahead of departure.",
                counted("{n} minutes", 12, 90, 6),
            ),
            A(
                "In a storm {e} stops at wind force {v}. | {e} is suspended from wind force {v}.",
                "At which wind force does {e} stop? | From what wind force is {e} suspended?",
                "Once the wind reaches force {v}, {e} no longer sails.",
                tuple("six seven eight nine ten eleven twelve".split())
                + tuple(f"{w} and a half" for w in "six seven eight nine ten eleven".split())
                + ("five", "five and a half"),
            ),
            A(
                "The summer timetable of {e} ends on {v}. | {e} changes to the winter timetable on {v}.",
                "When does the summer timetable of {e} end? | On which date does {e} change to the winter timetable?",
                "From {v} on, {e} runs to its winter timetable.",
                tuple(
                    f"{d} {m}" for m in ("September", "October", "November") for d in (3, 7, 12, 16, 21, 26)
                ),
            ),
        ),
        (
            "Dogs on a leash travel on the outer deck.",
            "Tickets are sold at the quay and by the crew.",
            "Life jackets are kept under the benches.",
            "The crew's instructions must be followed at all times.",
        ),
        (
            "Who built the ship of {e}?",
            "Is there wireless internet on {e}?",
            "How deep is the water below {e}?",
        ),
    ),
    Catalogue(
        "trails",
        tuple(
            "the Marmot Trail|the Glacier Loop|the Shepherd's Way|the Cedar Traverse|the Windgap Path|the Salt Route|the Two Lakes Walk|"
            "the Falcon Ridge|the Charcoal Path|the Mule Track|the Bellwether Trail|the Amber Gorge Walk|the Larch Circuit|"
            "the Hermit's Stair|the Upland Drove|the Silver Mine Trail".split("|")
        ),
        (
            "Route description of {e}.",
            "What hikers should know about {e}.",
            "A day out on {e}, described by the mountain club.",
        ),
        (
            A(
                "The length of {e} is {v}. | From end to end {e} measures {v}.",
                "How long is {e}? | What is the length of {e}?",
                "Walkers cover {v} on {e}.",
                counted("{n} kilometres", 6, 48, 2),
            ),
            A(
                "The highest point of {e} lies at {v}. | At its highest {e} reaches {v}.",
                "How high is the highest point of {e}? | What altitude does {e} reach?",
                "The top of {e} is {v} above the sea.",
                counted("{n} metres", 640, 2980, 85),
            ),
            A(
                "A night in the hut on {e} costs {v}. | The hut on {e} takes {v} for a night.",
                "What does a night in the hut on {e} cost? | How much is an overnight stay in the hut on {e}?",
                "For one night in the hut on {e} you pay {v}.",
                counted("{n} francs", 18, 92, 3),
            ),
            A(
                "The car park at the start of {e} has room for {v}. | At the start of {e} there is a car park for {v}.",
                "How many cars fit into the car park of {e}? | How big is the car park at the start of {e}?",
                "There are spaces for {v} where {e} begins.",
                counted("{n} cars", 12, 140, 6),
            ),
            A(
                "Snow closes {e} until {v}. | Until {v} {e} is closed by snow.",
                "Until when does snow close {e}? | When does {e} open after the snow?",
                "Because of snow, {e} cannot be walked before {v}.",
                tuple(
                    f"{p} {m}"
                    for m in ("March", "April", "May", "June", "July")
                    for p in ("early", "mid", "late")
                ),
            ),
            A(
                "The last spring on {e} comes after {v}. | After {v} {e} passes its last spring.",
                "After how long does {e} pass the last spring? | Where on {e} can I fill my bottle for the last time?",
                "Fill your bottles on {e} at the spring after {v}, the last one.",
                tuple(f"{n} minutes of walking" for n in range(20, 200, 10)),
            ),
        ),
        (
            "Carry a map; there is no telephone signal in the upper valley.",
            "The path is marked with red and white paint.",
            "Close every gate behind you, there are cattle on the pastures.",
            "In fog the ridge should be left to those who know it.",
        ),
        ("Who first walked {e}?", "Are there bears on {e}?", "How many people walk {e} each year?"),
    ),
    Catalogue(
        "insurance",
        tuple(
            "HomeGuard Basic|HomeGuard Plus|TravelSafe|TravelSafe Family|CycleCover|PetCare Silver|PetCare Gold|RentShield|"
            "BoatCover|DentalOne|StudentPack|MoverPolicy|GlassCover|GadgetCare|VolunteerPlan|AllotmentCover".split(
                "|"
            )
        ),
        (
            "Terms of the {e} policy.",
            "The {e} policy in short.",
            "What the {e} policy covers, and what it does not.",
        ),
        (
            A(
                "The deductible of {e} is {v} per claim. | With {e} the insured pays the first {v} of every claim.",
                "How high is the deductible of {e}? | How much of a claim do I pay myself with {e}?",
                "Policyholders of {e} bear {v} of each claim themselves.",
                counted("{n} euros", 40, 520, 20),
            ),
            A(
                "Claims under {e} must be reported within {v}. | {e} requires claims to be reported within {v}.",
                "Within what time must a claim be reported under {e}? | How soon do I have to report a claim to {e}?",
                "You have {v} to report a claim under {e}.",
                counted("{n} hours", 24, 240, 12),
            ),
            A(
                "{e} pays at most {v} a year. | The annual limit of {e} is {v}.",
                "What is the most that {e} pays in a year? | What is the annual limit of {e}?",
                "In one year {e} covers no more than {v}.",
                counted("{n},000 euros", 3, 96, 4),
            ),
            A(
                "Cover under {e} begins {v} after the contract is signed. | {e} has a waiting period of {v} after signing.",
                "How long is the waiting period of {e}? | When does cover under {e} begin?",
                "There is a wait of {v} from signing until {e} applies.",
                counted("{n} weeks", 2, 30, 1),
            ),
            A(
                "{e} can be cancelled {v} before the end of the year. | To cancel {e}, write {v} before the end of the year.",
                "How long before the end of the year can {e} be cancelled? | What is the cancellation notice of {e}?",
                "Cancelling {e} takes a letter {v} ahead of the end of the year.",
                counted("{n} days", 10, 95, 5),
            ),
            A(
                "Stays abroad are covered by {e} for up to {v}. | {e} covers stays abroad of up to {v}.",
                "For how long does {e} cover stays abroad? | How long may I be abroad under {e}?",
                "Abroad, {e} protects you for {v} at most.",
                counted("{n} days", 12, 190, 8),
            ),
        ),
        (
            "Premiums are due on the first of the month.",
            "Damage that was caused on purpose is never covered.",
            "A change of address has to be told to the insurer.",
            "Disputes are decided by the ombudsman free of charge.",
        ),
        ("How many people hold {e}?", "Who sells {e} in shops?", "What is the telephone number of {e}?"),
    ),
    Catalogue(
        "courses",
        tuple(
            "Soil Mechanics|Marine Ecology|Game Theory|Organic Synthesis|Roman Law|Computer Vision|Bookbinding|Stage Lighting|Epidemiology|"
            "Glass Chemistry|Number Theory|Urban Hydrology|Folk Music|Robotics Lab|Wine Science|Map Making".split(
                "|"
            )
        ),
        (
            "Module description: {e}.",
            "The course {e} is taught every second term.",
            "{e}: contents, requirements and examination.",
        ),
        (
            A(
                "The course {e} earns {v}. | Passing {e} is worth {v}.",
                "How many credits does {e} earn? | What is {e} worth in credits?",
                "Students receive {v} for {e}.",
                tuple(f"{n} credits" for n in (2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 15, 16, 18, 20)),
            ),
            A(
                "The written exam in {e} lasts {v}. | In {e} the written exam takes {v}.",
                "How long is the exam in {e}? | How much time does one have for the written exam in {e}?",
                "You are given {v} for the written examination of {e}.",
                counted("{n} minutes", 45, 240, 12),
            ),
            A(
                "At most {v} are admitted to {e}. | {e} admits at most {v}.",
                "How many students are admitted to {e}? | What is the limit of participants in {e}?",
                "There are places for {v} in {e}.",
                counted("{n} students", 9, 90, 4),
            ),
            A(
                "The lab fee for {e} is {v}. | A fee of {v} is charged for the materials of {e}.",
                "How much is the lab fee for {e}? | What do I pay for the materials of {e}?",
                "Materials for {e} cost each student {v}.",
                counted("{n} euros", 15, 140, 6),
            ),
            A(
                "Registration for {e} closes on {v}. | Students register for {e} until {v}.",
                "When does registration for {e} close? | Until which date can I register for {e}?",
                "The last day to register for {e} is {v}.",
                tuple(f"{d} {m}" for m in ("August", "September", "February") for d in (2, 5, 9, 14, 18, 23)),
            ),
            A(
                "To pass {e}, {v} of the points are needed. | {e} is passed with {v} of the points.",
                "What share of the points is needed to pass {e}? | With how many points is {e} passed?",
                "The pass mark of {e} is {v} of the points.",
                counted("{n} percent", 38, 70, 2),
            ),
        ),
        (
            "Attendance of the first meeting is required.",
            "Slides are put on the server after each lecture.",
            "Homework may be handed in by groups of two.",
            "The reading list is handed out in the first week.",
        ),
        ("Who invented {e}?", "In which building is {e} taught?", "How many students failed {e} last year?"),
    ),
    Catalogue(
        "plants",
        tuple(
            "Ruby Thistlewort|Velvet Marrow|Dwarf Sunpea|Coral Lovage|Giant Moonbean|Blue Saltwort|Winter Purslet|Golden Skirret|"
            "Black Carrotel|Crimson Chicor|Silver Sorrelet|Trailing Melonette|Sand Asparel|Striped Tomatine|Mountain Cressel|"
            "Honey Radichet".split("|")
        ),
        (
            "Growing guide for {e}.",
            "{e} is an easy plant for the kitchen garden.",
            "Notes of the seed library on {e}.",
        ),
        (
            A(
                "Sow {e} at a depth of {v}. | The seeds of {e} go {v} deep into the soil.",
                "How deep do I sow {e}? | At what depth are the seeds of {e} sown?",
                "Seeds of {e} are placed {v} below the surface.",
                counted("{n} millimetres", 3, 60, 3),
            ),
            A(
                "Leave {v} between two plants of {e}. | Plants of {e} need {v} of space between them.",
                "How much space do plants of {e} need? | How far apart should {e} be planted?",
                "Keep a distance of {v} from one {e} to the next.",
                counted("{n} centimetres", 8, 90, 4),
            ),
            A(
                "{e} is ready for harvest {v} after sowing. | From sowing to harvest {e} takes {v}.",
                "How long after sowing can I harvest {e}? | How long does {e} take from sowing to harvest?",
                "You can pick {e} once {v} have passed since sowing.",
                counted("{n} days", 34, 180, 7),
            ),
            A(
                "{e} survives frost down to {v}. | Frost down to {v} does no harm to {e}.",
                "How much frost does {e} survive? | Down to which temperature is {e} hardy?",
                "Temperatures as low as {v} are tolerated by {e}.",
                tuple(f"minus {n} degrees" for n in range(2, 27)),
            ),
            A(
                "Water {e} every {v} in summer. | In summer {e} wants water every {v}.",
                "How often should {e} be watered in summer? | When does {e} need water in summer?",
                "During summer, give {e} water every {v}.",
                tuple(f"{n} days" for n in range(2, 21)),
            ),
            A(
                "Full-grown {e} stands {v} tall. | {e} grows to a height of {v}.",
                "How tall does {e} grow? | What height does {e} reach?",
                "When mature, {e} measures {v} in height.",
                counted("{n} centimetres", 105, 290, 7),
            ),
        ),
        (
            "Remove weeds by hand as long as the plants are small.",
            "Compost in spring is all the feeding it needs.",
            "Save seed only from the strongest plants.",
            "Slugs are best collected in the evening.",
        ),
        ("Who bred {e}?", "How many calories does {e} have?", "What does a bag of {e} seed cost?"),
    ),
)
