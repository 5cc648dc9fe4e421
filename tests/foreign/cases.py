"""cases.py FILE [ARG]...: CPython's `python3 -m test ARG...`, with a line in FILE for what each case came to.

regrtest's own XML loses subtests, the errors of setUpClass and, if the process dies, everything.
"""
import os
import sys


def record(outcomes):
    from test.support import testresult

    def note(test, outcome):
        test = getattr(test, "test_case", test)  # a subtest counts for the test that it is part of
        name = test.id().replace("\n", " ")
        # No descriptor stays open: some tests count them.
        file = os.open(outcomes, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        os.write(file, f"{name}\t{outcome}\n".encode())
        os.close(file)

    def noting(method, outcome):
        original = getattr(testresult.RegressionTestResult, method)

        def replacement(self, test, *args):
            note(test, outcome)
            return original(self, test, *args)

        setattr(testresult.RegressionTestResult, method, replacement)

    noting("startTest", "started")
    noting("addSuccess", "ok")
    noting("addSkip", "skipped")
    noting("addExpectedFailure", "ok")
    noting("addUnexpectedSuccess", "failed")
    noting("addFailure", "failed")
    noting("addError", "failed")
    original = testresult.RegressionTestResult.addSubTest

    def add_subtest(self, test, subtest, error):
        if error is not None:
            note(test, "failed")
        return original(self, test, subtest, error)

    testresult.RegressionTestResult.addSubTest = add_subtest


if __name__ == "__main__":  # not in the children that multiprocessing starts
    record(sys.argv.pop(1))
    # Where the script lies is no place to import from.
    del sys.path[0]
    from test.libregrtest import main

    main()
