"""Run the Autobahn Testsuite against wssync and compare with the golden file: `python -m tests.conformance`.

    --cases 9.* 7.1.5   these instead of the bounded choice (numbers, or all that begin as before the asterisk)
    --full              all 517 cases: about twelve minutes
    --update            write what was found into the golden file
    --tls               over wss

Without `--cases` or `--full` the families 12 and 13, ten minutes of a thousand compressed messages a case, are
represented by the smallest and one larger case of each of their sections.
"""

from __future__ import annotations

import argparse
import shutil
import ssl
import sys
import tempfile
import time
from pathlib import Path
from typing import List, Optional, Sequence, Tuple

from tests.conformance.autobahn import Judge, find_judge
from tests.conformance.client import EchoClient
from tests.conformance.verdicts import Verdicts, compare, dump, parse_golden, parse_report, totals
from tests.processes import Program, ProgramFailed, cache_folder
from tests.runner import Counts, report, watch

GOLDEN = Path(__file__).with_name("expected.json")
AGENT = "wssync"
ALL = ("*",)
BOUNDED = (
    *(f"{family}.*" for family in (1, 2, 3, 4, 5, 6, 7, 9, 10)),  # there is no family 8
    *(f"12.{section}.{case}" for section in range(1, 6) for case in (1, 10)),
    *(f"13.{section}.{case}" for section in range(1, 8) for case in (1, 10)),
)
TIME_LIMIT = 3000
"""Seconds for the whole run, four times what all cases take."""


def main(arguments: Optional[List[str]] = None) -> int:
    """The command; its exit status is 0 if every verdict is the golden one."""
    options = _options(arguments)
    watch(TIME_LIMIT)
    try:
        judge = find_judge()
    except ProgramFailed as error:
        print(f"skipped: {error}")
        return _skipped()
    if options.tls and judge.name != "wstest":
        print("skipped: kosoku does not speak TLS")
        return _skipped()
    if options.update and judge.name != "wstest":
        raise SystemExit("the golden file is wstest's: kosoku may not write it")
    cases = options.cases or (ALL if options.full else BOUNDED)
    folder = cache_folder("wssync-autobahn", "WSSYNC_AUTOBAHN") / ("report-tls" if options.tls else "report")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    found, count = _run(judge, folder, cases, tls=options.tls)
    if options.update:
        _update(found)
    counts, lines = compare(parse_golden(GOLDEN.read_text(encoding="utf-8")), found, count, judge.unjudged)
    for line in lines:
        print(line)
    print(totals(found))
    print(f"the server's report: {folder / 'index.html'}")
    return report("conformance", counts)


def _options(arguments: Optional[List[str]]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--cases", nargs="+", metavar="CASE", help="these cases (9.* or 7.1.5)")
    parser.add_argument("--full", action="store_true", help="all cases")
    parser.add_argument("--update", action="store_true", help="write the verdicts into the golden file")
    parser.add_argument("--tls", action="store_true", help="over wss")
    return parser.parse_args(arguments)


def _skipped() -> int:
    report("conformance", Counts(0, 0, 1))
    return 0


def _run(judge: Judge, folder: Path, cases: Sequence[str], *, tls: bool) -> Tuple[Verdicts, int]:
    """Run `cases` and return the verdicts and the number of cases that there are."""
    with tempfile.TemporaryDirectory() as secrets:
        certificate, context = _certificate(Path(secrets)) if tls else (None, None)
        client = EchoClient(compression=judge.compression, context=context)
        with judge.start(folder, cases, certificate) as server:
            count = _echo_all(client, f"{'wss' if tls else 'ws'}://127.0.0.1:{server.port}", judge.name)
            text = _await_report(server, folder / "index.json")
    return parse_report(text, AGENT), count


def _certificate(folder: Path) -> Tuple[Path, ssl.SSLContext]:
    """A fresh certificate for the server, and the context of a client that trusts it alone."""
    import trustme  # only this mode needs it

    authority = trustme.CA()
    file = folder / "server.pem"
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(file))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(context)
    return file, context


def _echo_all(client: EchoClient, base: str, name: str) -> int:
    count = int(client.get_text(f"{base}/getCaseCount"))
    print(f"{name}: {count} cases", flush=True)
    began = time.monotonic()
    for number in range(1, count + 1):
        client.echo(f"{base}/runCase?case={number}&agent={AGENT}")
        if number % 50 == 0 or number == count:
            print(f"{number} of {count} after {time.monotonic() - began:.0f} s", flush=True)
    client.echo(f"{base}/updateReports?agent={AGENT}")
    return count


def _await_report(server: Program, file: Path) -> str:
    """The text of the report. The server writes it while, or shortly after, it answers that it did."""
    text = server.read_when_complete(file, ending="}")
    if not text:
        raise SystemExit(f"the server wrote no report; it said: {server.output[-1500:]}")
    return text


def _update(found: Verdicts) -> None:
    """Write what was found into the golden file; cases that did not run stay as they are."""
    golden = parse_golden(GOLDEN.read_text(encoding="utf-8")) if GOLDEN.exists() else {}
    dump({**golden, **found}, GOLDEN)
    print(f"wrote {GOLDEN}")


if __name__ == "__main__":
    sys.exit(main())
