"""Checks that print PASS or FAIL with their seconds, and waits that say what they waited for."""
import os
import sys
import time
import traceback

PATIENCE = float(os.environ.get('E2E_PATIENCE', '1'))   # a factor for slow machines


class Failed(Exception):
    """A check that did not hold."""


class Checks:
    """Counts what held and what did not."""

    def __init__(self):
        self.failed, self.passed, self.began = [], 0, time.time()

    def run(self, name, function, *args, fatal=False):
        """Runs one check. A fatal one ends the run, since what follows would only repeat its failure."""
        start = time.time()
        try:
            note = function(*args)
        except Exception as why:          # every failure of a check is a result, and is shown
            self.failed.append(name)
            print('FAIL %6.1f s  %s: %s' % (time.time() - start, name, why), flush=True)
            if not isinstance(why, Failed):
                traceback.print_exc(file=sys.stdout)
            if fatal:
                raise SystemExit(self.summary()) from why
            return False
        self.passed += 1
        print('PASS %6.1f s  %s%s' % (time.time() - start, name, ' (%s)' % note if note else ''), flush=True)
        return True

    def summary(self):
        """Prints the totals; the exit status of the run."""
        took = time.time() - self.began
        if self.failed:
            print('%d of %d checks FAILED in %.0f s: %s' % (
                len(self.failed), len(self.failed) + self.passed, took, '; '.join(self.failed)))
            return 1
        print('all %d checks passed in %.0f s' % (self.passed, took))
        return 0


def until(what, probe, seconds=120, every=0.5):
    """Waits until `probe` gives something true, and returns it."""
    end = time.time() + seconds * PATIENCE
    while True:
        value = probe()
        if value:
            return value
        if time.time() > end:
            raise Failed('waited %.0f s for %s' % (seconds * PATIENCE, what))
        time.sleep(every)


def require(condition, text):
    """Fails the check when the condition does not hold."""
    if not condition:
        raise Failed(text)
