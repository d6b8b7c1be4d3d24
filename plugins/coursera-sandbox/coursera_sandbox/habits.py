"""How the people of the college behave, as numbers: shares are of 1, spans in milliseconds."""

from __future__ import annotations

from coursera_sandbox.moments import DAY, HOUR, MINUTE, START, moment

SECOND_PROGRAM, THIRD_PROGRAM = 0.16, 0.04

# Joining: a few in the school year before, most at the start of this one, the rest during it. Some never accept.
SCHOOL_YEAR, EARLIER_YEAR = moment("2025-08-20T00:00:00Z"), moment("2024-09-02T00:00:00Z")
JOINED_EARLIER, JOINED_AT_START, ACCEPTS = 0.08, 0.8, 0.975
RUSH, EARLIER_SPAN, TRICKLE = 46 * DAY, 270 * DAY, 260 * DAY
INVITED_BEFORE = 12 * DAY

LEAVES, RETURNS = 0.04, 0.33

# Parts in the play, by the last digits of a learner's number, so that even a college of fifty sees everything happen:
# one leaves and one returns within three days of the start.
CAST = 50
NEVER_ACCEPTS, LEAVES_SOON, RETURNS_SOON, IS_GONE, IS_ALLOW_LISTED, IS_INVITED_AGAIN = 17, 21, 33, 41, 45, 47
SCRIPTED = (NEVER_ACCEPTS, LEAVES_SOON, RETURNS_SOON, IS_GONE, IS_ALLOW_LISTED, IS_INVITED_AGAIN)
CURTAIN = START + 6 * HOUR

# A few of the first learners are keen: a new course every three days around the start, each done within some days, so
# that every day has news in the small colleges of demonstrations. Larger ones have these few, too, and no more.
KEEN, KEEN_AMONG = (5, 18, 36), 150
KEEN_FROM, KEEN_EVERY = START - 10 * DAY, 3 * DAY
KEEN_STARTS_WITHIN, KEEN_GAP_LEAST, KEEN_GAP_SPREAD = 12 * HOUR, 8 * HOUR, 16 * HOUR

# Enrolling: up to eight courses that were always there, sooner rather than later, and those that are added.
BASE_PICKS, WISHES = 8, 16
ENROLL_SPAN, TRIES_NEW_COURSE, NEW_COURSE_SPAN, TAKES_SERIES = 200 * DAY, 0.35, 30 * DAY, 0.35

# Working: sessions done, as a ladder of shares: never opened, opened only, one, two, three, all four.
LADDER = (0.20, 0.28, 0.40, 0.51, 0.60)
ALL_SESSIONS = 4
FIRST_SESSION_WITHIN, GAP_LEAST, GAP_SPREAD = 12 * DAY, DAY, 20 * DAY
ITEM_TAKES, ITEM_SPREAD = 45 * MINUTE, 20 * MINUTE
FAILS_FIRST, GIVES_UP = 0.12, 0.06
PASS_MARK = 80.0
PEERS_TAKE, TRIES_AGAIN_LEAST, TRIES_AGAIN_SPREAD = 36 * HOUR, DAY, 4 * DAY
SKIPS_VIDEOS = 0.12

# A class day: those of a class who stopped hand in between these hours. It is the class in which they are nearest to
# this share of the college, among the first so many learners, whether the college has these or not: so a learner's
# life does not depend on its size.
CLASS_SHARE, CLASS_AMONG = 0.02, 20_000
CLASS_FROM, CLASS_UNTIL = 8 * HOUR, 18 * HOUR
CLASS_SITS_DOWN_WITHIN = 7 * HOUR + 30 * MINUTE
