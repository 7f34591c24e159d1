# ruff: noqa: E501 - sentences on a line of their own
"""Help pages, each on a topic of its own, with a question in a layman's words that share little with the page.

In: nothing. Out: `TOPICS` (only an embedder that knows meanings finds the page) and `CODES` (error messages that
only their code tells apart: a lexical arm finds them). `{v}` stands for a value. All of it is invented.
"""

from __future__ import annotations

from dataclasses import dataclass

from bench.situations.texts import counted


@dataclass(frozen=True)
class Topic:
    title: str
    before: str
    state: str
    after: str
    lay: str
    """A question without the words of `state`."""
    values: tuple[str, ...]


def _topic(text: str, values: tuple[str, ...]) -> Topic:
    title, before, state, after, lay = (part.strip() for part in text.split("|"))
    return Topic(title, before, state, after, lay, values)


T = _topic

TOPICS: tuple[Topic, ...] = (
    T(
        "Refunds | Returned goods are inspected on arrival. | Reimbursement is issued to the original method of payment within {v}. | Shipping costs are not included. | How soon do I get my money back?",
        counted("{n} days", 4, 30, 2),
    ),
    T(
        "Password reset | Credentials are personal. | After {v} unsuccessful login attempts the account is locked. | An administrator can unlock it. | How many times can I type my password wrong before I am shut out?",
        tuple("three four five six seven eight nine ten".split()),
    ),
    T(
        "Parental leave | Both partners are entitled to it. | Employees receive {v} of leave upon the birth of a child. | The dates are agreed with human resources. | How much time off does someone get for a new baby?",
        counted("{n} weeks", 8, 40, 2),
    ),
    T(
        "Waste collection | Bins are provided by the municipality. | Household refuse is emptied every {v}. | Lids must close. | What day does the rubbish truck come by?",
        tuple("Monday Tuesday Wednesday Thursday Friday Saturday".split()),
    ),
    T(
        "Damaged parcels | Photographs help us. | Transit damage has to be notified to the carrier within {v}. | Retain the packaging until then. | My package arrived broken, how fast must I complain?",
        counted("{n} hours", 24, 120, 8),
    ),
    T(
        "Sick animals | The surgery is on Hill Street. | Veterinary emergencies are admitted until {v}. | Ring the bell at the side. | How late can I bring my hurt cat at night?",
        tuple(f"{h} in the evening" for h in ("eight", "nine", "ten", "eleven")),
    ),
    T(
        "Heating | Radiators are serviced by the landlord. | Central heating is maintained at {v} throughout the cold season. | Thermostats must not be covered. | How warm will my flat be in winter?",
        counted("{n} degrees", 19, 24, 1),
    ),
    T(
        "Power cuts | Maintenance is announced by letter. | Outages exceeding {v} entitle tenants to compensation. | Claims go to the utility. | The electricity went off for ages, when will they pay me for it?",
        counted("{n} hours", 3, 20, 1),
    ),
    T(
        "Swimming pool | Showers are obligatory. | Minors below {v} require supervision by an adult in the water. | Inflatable toys are prohibited. | At what age can kids swim by themselves?",
        tuple("eight nine ten eleven twelve thirteen".split()),
    ),
    T(
        "Vehicle inspection | The garage is certified. | Automobiles undergo a technical examination every {v}. | Bring the registration papers. | How regularly must my car be checked?",
        counted("{n} months", 12, 48, 3),
    ),
    T(
        "Moving out | The lease is terminated in writing. | The security deposit is repaid {v} following departure from the apartment. | Keys are returned to the caretaker. | When will my landlord give back what I paid up front for the place?",
        counted("{n} weeks", 3, 16, 1),
    ),
    T(
        "Invoices | Statements are sent electronically. | Unsettled bills accrue interest at {v} from the due date. | Disputes suspend the charge. | What happens to the amount I owe if I pay too late?",
        tuple(f"{n} percent" for n in (4, 5, 6, 7, 8, 9, 11, 12, 14)),
    ),
    T(
        "Vaccination | The clinic has a cold chain. | Influenza immunisation is offered from {v}. | No appointment is required. | When can I get my flu shot?",
        tuple("September October November December".split()),
    ),
    T(
        "Backup | Data centres are mirrored. | Deleted files remain recoverable for {v}. | Afterwards they are overwritten. | I threw away a document by accident, how long can it still be rescued?",
        counted("{n} days", 7, 90, 5),
    ),
    T(
        "Jury duty | Summonses come by registered mail. | Citizens selected for a trial are compensated with {v} daily. | Employers must release them. | What do I earn when I am called to court?",
        counted("{n} dollars", 25, 120, 5),
    ),
    T(
        "Bees | Honey production is regulated. | Hives must be situated at least {v} from the neighbouring property. | Water has to be available. | How near to next door may I put my beekeeping boxes?",
        counted("{n} metres", 4, 30, 2),
    ),
    T(
        "Drinking fountains | Samples are analysed weekly. | Tap water hardness in the district amounts to {v}. | Chlorine is not added. | How much lime will build up in my kettle here?",
        tuple(f"{n} degrees on the German scale" for n in range(6, 24)),
    ),
    T(
        "Spectacles | Opticians measure without charge. | New lenses are subsidised once in {v}. | The prescription has to be recent. | How frequently does the plan help with glasses?",
        counted("{n} months", 12, 60, 6),
    ),
    T(
        "Fire drills | Assembly points are signposted. | Evacuation exercises take place {v} per year. | Lifts must not be used. | How often do we practise leaving the building in an emergency?",
        tuple("twice|three times|four times|five times|six times".split("|")),
    ),
    T(
        "Blood donation | The service is voluntary. | Donors have to weigh a minimum of {v}. | Identification is required. | I am quite a light person, can I still give blood?",
        counted("{n} kilograms", 46, 60, 1),
    ),
    T(
        "Public transport | Inspectors carry a badge. | Travelling without a valid ticket incurs a penalty of {v}. | Payment on the spot is possible. | What will it set me back if I ride the bus and have not paid?",
        counted("{n} euros", 40, 150, 5),
    ),
    T(
        "Snow | Salt is prohibited on private land. | Pavements must be cleared of snow before {v}. | Proprietors are liable. | By when do I need to shovel the walk in front of my house?",
        tuple(f"{h} in the morning" for h in ("six", "seven", "eight", "nine")),
    ),
    T(
        "Mobile contract | Coverage maps are online. | Roaming beyond the union is billed at {v} per megabyte. | A warning message is sent. | How expensive is surfing on my phone in foreign countries?",
        counted("{n} cents", 5, 95, 5),
    ),
    T(
        "Overtime | Hours are recorded by the terminal. | Additional hours are remunerated with a supplement of {v}. | Supervisors approve them beforehand. | How much extra pay do I earn for staying longer at work?",
        tuple(f"{n} percent" for n in range(15, 65, 5)),
    ),
    T(
        "Noise from construction | Permits are posted at the site. | Building works are suspended between noon and {v}. | Sundays are excluded altogether. | When does the hammering start again after lunch?",
        tuple("one o'clock|half past one|two o'clock|half past two|three o'clock".split("|")),
    ),
    T(
        "Passports | Biometric photographs are taken on site. | Express issuance of travel documents takes {v}. | An additional fee applies. | I fly soon and need papers in a hurry, how fast can they be made?",
        counted("{n} working days", 2, 9, 1),
    ),
    T(
        "Allergies | The canteen labels its dishes. | Meals free of gluten must be ordered by {v} on the preceding day. | The menu is published on Mondays. | I have coeliac disease, how early do I tell the kitchen?",
        tuple(f"{h} o'clock" for h in ("nine", "ten", "eleven", "two", "three", "four")),
    ),
    T(
        "Tree felling | Protected species are listed in an annex. | Trunks with a circumference exceeding {v} require authorisation for removal. | Replacement planting may be imposed. | Can I cut down the big oak in my garden?",
        counted("{n} centimetres", 50, 140, 10),
    ),
    T(
        "Scholarships | Committees meet in spring. | Grants are conditional on an average grade of at least {v}. | Certificates must be enclosed. | How good do my marks need to be for financial aid?",
        ("1.5", "1.7", "2.0", "2.2", "2.4", "2.6"),
    ),
    T(
        "Wedding | Witnesses bring identification. | Civil marriages are celebrated in the town hall on {v}. | Rice must not be thrown. | On which weekday can we tie the knot?",
        tuple("Tuesdays Wednesdays Thursdays Fridays Saturdays".split()),
    ),
    T(
        "Elevator | The manufacturer services it quarterly. | Persons trapped in the lift are freed within {v}. | Use the alarm button. | I am stuck between two floors, how long until help comes?",
        counted("{n} minutes", 15, 60, 5),
    ),
    T(
        "Cookies | Consent is stored. | Tracking identifiers expire after {v}. | Preferences may be altered at any moment. | How long does the website remember who I am?",
        counted("{n} days", 30, 390, 30),
    ),
    T(
        "Chimneys | Sweeps are appointed by the district. | Flues of wood stoves are cleaned {v} annually. | Access must be granted. | How often does someone come to get the soot out?",
        tuple("once|twice|three times|four times".split("|")),
    ),
    T(
        "Allotments | The association owns the land. | Candidates for a plot remain on the waiting list for about {v}. | Neighbours take precedence. | How long until I can have a little garden of my own?",
        counted("{n} months", 8, 60, 4),
    ),
    T(
        "Ambulance | Dispatchers speak several languages. | Non-urgent patient transport is booked {v} in advance. | A medical certificate is needed. | How early do I call if I want a ride to the hospital?",
        counted("{n} hours", 12, 72, 6),
    ),
    T(
        "Pension | Contributions are matched. | Retirement with full benefits is granted at {v}. | Early exit reduces the sum. | When may I stop working for good without losing money?",
        tuple(f"the age of {n}" for n in range(61, 69)),
    ),
    T(
        "Street musicians | Loudspeakers are not allowed. | Performers change their location after {v}. | Permits are free. | How long can I play my guitar on the same corner?",
        counted("{n} minutes", 20, 90, 5),
    ),
    T(
        "Lost property | The office is in the station. | Found objects are auctioned after {v}. | Proof of ownership is necessary. | I left my umbrella on the train, when will it be sold?",
        counted("{n} weeks", 6, 52, 2),
    ),
)
"""Pages on topics of their own."""

CODE_PARTS: tuple[str, ...] = (
    "drain pump",
    "inlet valve",
    "door switch",
    "temperature probe",
    "circulation motor",
    "water sensor",
    "heater relay",
    "spray arm",
    "control board",
    "leak float",
    "salt gauge",
    "turbidity cell",
    "flow meter",
    "lid latch",
    "fan",
)
CODE_STATES: tuple[str, ...] = (
    "{c} is shown when the {p} does not answer; set it back with the reset key held for {v}.",
    "{c} stands for a fault of the {p}; hold the reset key for {v} to clear it.",
    "{c} means that the {p} reported an error; it clears after the reset key was held for {v}.",
)
CODE_ASKS: tuple[str, ...] = (
    "What do I have to do about {c}?",
    "The display says {c}. How is it cleared?",
    "How do I get rid of {c}?",
)
