"""The made-up prospectus: what the college offers, as plain tables. Nobody and nothing in it exists."""

from __future__ import annotations

from typing import NamedTuple

ORGANISATION = ("Northfield College", "northfield-college")

PARTNERS = (
    "Larkspur Institute of Technology",
    "University of Eastmere",
    "Harrow Lake College",
    "Brightwater Labs",
    "École Marelle",
)

INSTRUCTORS = (
    "Ilka Fenwright",
    "Oduya Barrowmere",
    "Tomasz Quillfeather",
    "Maren Solheimsvik",
    "Rafiq Ambergate",
    "Celestine Woolverton",
)

# name, partner, number of gradable items (0: nothing is graded), domain, subdomain
COURSES: tuple[tuple[str, int, int, str, str], ...] = (
    ("Data Literacy for Everyone", 0, 8, "Data Science", "Data Analysis"),
    ("Spreadsheets without Fear", 3, 6, "Business", "Business Essentials"),
    ("Statistics in Plain Words", 0, 12, "Data Science", "Probability and Statistics"),
    ("Programming from Zero", 0, 10, "Computer Science", "Software Development"),
    ("Databases and What They Promise", 3, 9, "Data Science", "Data Analysis"),
    ("Telling Stories with Charts", 3, 5, "Data Science", "Data Analysis"),
    ("Algorithms by Hand", 0, 11, "Computer Science", "Algorithms"),
    ("Networks and the Web", 3, 7, "Information Technology", "Networking"),
    ("Security for the Rest of Us", 3, 4, "Information Technology", "Security"),
    ("Writing That Works", 1, 6, "Arts and Humanities", "Language"),
    ("Speaking in Public", 1, 4, "Personal Development", "Communication"),
    ('Negotiation, "Yes" and No', 2, 5, "Business", "Leadership and Management"),
    ("Contabilidad básica", 4, 8, "Business", "Finance"),
    ("Marketing for Small Shops", 2, 6, "Business", "Marketing"),
    ("Project Management, Step by Step", 2, 9, "Business", "Leadership and Management"),
    ("Ethics of Care", 1, 3, "Health", "Healthcare Management"),
    ("Anatomy I", 1, 12, "Health", "Basic Science"),
    ("Anatomy II", 1, 12, "Health", "Basic Science"),
    ("Nutrition and Myth", 2, 5, "Health", "Nutrition"),
    ("Public Health in Numbers", 0, 7, "Health", "Public Health"),
    ("Chemistry You Can Smell", 0, 10, "Physical Science", "Chemistry"),
    ("A Short History of Long Rivers", 4, 4, "Arts and Humanities", "History"),
    ("Reading Poems Slowly", 1, 0, "Arts and Humanities", "Literature"),
    ("Drawing What You See", 4, 0, "Arts and Humanities", "Visual Arts"),
    ("How to Learn", 2, 3, "Personal Development", "Learning"),
    ("Sleep, Stress & Study", 2, 0, "Personal Development", "Well-being"),
    ("Teaching Online", 1, 7, "Social Sciences", "Education"),
    ("Accessible Course Design", 1, 5, "Social Sciences", "Education"),
    ("Assessing Fairly", 1, 6, "Social Sciences", "Education"),
    ("Prompting with Judgement", 3, 4, "Computer Science", "Machine Learning"),
    ("Models and Their Mistakes", 0, 8, "Computer Science", "Machine Learning"),
    ("Climate Accounting", 4, 5, "Business", "Finance"),
)

# name, partner, courses
SPECIALIZATIONS: tuple[tuple[str, int, tuple[int, ...]], ...] = (
    ("Everyday Data", 0, (0, 1, 5)),
    ("First Steps in Computing", 0, (3, 6, 7)),
    ("Better Teaching", 1, (26, 27, 28)),
)


class ProgramPlan(NamedTuple):
    """One program; hours count from the start of the simulation."""

    name: str
    tagline: str
    share: float
    courses: tuple[int, ...]
    added: tuple[tuple[int, int], ...] = ()
    """(course, hours)."""
    renames: tuple[tuple[int, str], ...] = ()
    """(hours, name)."""
    specializations: tuple[int, ...] = ()
    clips: tuple[int, ...] = ()
    collections: tuple[tuple[str, tuple[int, ...]], ...] = ()


PROGRAMS: tuple[ProgramPlan, ...] = (
    ProgramPlan(
        "Career Academy",
        "Skills for the first job and the next",
        0.38,
        (0, 1, 3, 5, 7, 8, 9, 10, 11, 13, 14, 24, 25),
        added=((29, 40), (31, 33 * 24)),
        specializations=(0,),
        clips=(0, 1, 2),
        collections=(("Start here", (0, 1, 24)), ("", (9, 10))),
    ),
    ProgramPlan(
        "Data & Analytics Pathway",
        "From spreadsheets to models",
        0.22,
        (0, 1, 2, 3, 4, 5, 6, 7, 30),
        added=((29, 12 * 24),),
        specializations=(0, 1),
    ),
    ProgramPlan(
        "Health Sciences",
        "Courses that count towards the nursing degree",
        0.16,
        (2, 15, 16, 17, 18, 19, 20, 25),
        renames=((25 * 24, "Health & Care"),),
    ),
    ProgramPlan("Business Foundations", "Numbers, people, plans", 0.12, (1, 11, 12, 13, 14), added=((31, 61 * 24),)),
    ProgramPlan(
        "Humanities Electives",
        "Read, draw, think",
        0.06,
        (9, 21, 22, 23, 24),
        renames=((20, "Humanities and Arts Electives"),),
    ),
    ProgramPlan("Writing Essentials", "One course, well done", 0.03, (9,)),
    ProgramPlan(
        "Faculty Development",
        "For those who teach",
        0.03,
        (24, 25, 26, 27, 28),
        specializations=(2,),
        collections=(("Teach with confidence", (26, 27, 28)),),
    ),
    ProgramPlan("Summer Bridge (draft)", "", 0.0, ()),
)


class SkillsetPlan(NamedTuple):
    """A set of skills that some programs aim at; skills are the subdomains of courses, with the score to reach."""

    name: str
    programs: tuple[int, ...]
    skills: tuple[tuple[str, int], ...]


SKILLSETS: tuple[SkillsetPlan, ...] = (
    SkillsetPlan("Data Analyst", (0, 1), (("Data Analysis", 250), ("Probability and Statistics", 100))),
    SkillsetPlan("Team Lead", (0, 3), (("Leadership and Management", 225), ("Communication", 100))),
    SkillsetPlan("Junior Developer", (0, 1), (("Software Development", 100), ("Algorithms", 100), ("Networking", 75))),
    SkillsetPlan("Health Assistant", (2,), (("Basic Science", 300), ("Nutrition", 100))),
)
