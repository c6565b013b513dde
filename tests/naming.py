"""Names of test cases that are the same in every process."""

import re


def named(case):
    return re.sub(r" at 0x[0-9a-f]+", "", repr(case))
