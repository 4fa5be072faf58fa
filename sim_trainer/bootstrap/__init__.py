"""
One command from a clean clone to a running demo or test run, with the standard library alone.

`python3 -m sim_trainer.bootstrap demo` and `python3 -m sim_trainer.bootstrap test` install what
the system and a private environment (.venv) lack, then start the job. A second run takes seconds.
"""
