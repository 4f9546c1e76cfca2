"""Print how long each phase of an opening took, redirect included: `python where_the_time_goes.py [URL]`."""

import sys

import wssync
from wssync.testing import Server, redirect

PHASES = ("domain_lookup", "connect", "secure_connection", "request", "response")


class Delegate(wssync.WebSocketDelegate):
    """Gets the metrics."""

    def did_finish_collecting_metrics(self, session, task, metrics):
        """Once for each task, just before it is complete."""
        for transaction in metrics.transaction_metrics:
            print(transaction.request.url, transaction.response.status_code)
            for phase in PHASES:
                start = getattr(transaction, f"{phase}_start_date")
                end = getattr(transaction, f"{phase}_end_date")
                if start and end:
                    print(f"  {phase:18}{(end - start).total_seconds() * 1000:8.1f} ms")
        print(f"{metrics.redirect_count} redirects, {metrics.count_of_messages_received} messages")


with Server() as server, Server(opening=redirect(server.url)) as old:
    url = sys.argv[1] if len(sys.argv) > 1 else old.url
    with wssync.Session(delegate=Delegate()) as session:
        task = session.websocket_task(url)
        task.resume()
        task.send("hello")
        task.receive()
        task.close()
