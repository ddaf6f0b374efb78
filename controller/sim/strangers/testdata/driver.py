# Runs the aws command of the Python that interprets this file, again and again in one process: each line of standard input is
# the JSON of its arguments, each line of standard output that of what it wrote and of how it ended. The command is the
# package as it is installed; only its waiters wait a fiftieth of their time.
import io, json, sys, time

import awscli.clidriver

patient, stdin, stdout = time.sleep, sys.stdin, sys.stdout
time.sleep = lambda seconds: patient(seconds / 50)

for line in stdin:
    sys.argv = ["aws"] + json.loads(line)
    sys.stdout, sys.stderr = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    try:
        code = awscli.clidriver.main()
    except SystemExit as stop:
        code = stop.code
    wrote, errors = sys.stdout.buffer.getvalue().decode(), sys.stderr.buffer.getvalue().decode()
    stdout.write(json.dumps({"code": code or 0, "out": wrote, "errors": errors}) + "\n")
    stdout.flush()
