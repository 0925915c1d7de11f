"""Every metric there is, by name. Rule: what is not in this table cannot be exported, and what is has its row in
docs/reference/metrics.md; a unit is a part of the name, and a label's values come from a small set.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    """The kinds of Prometheus that there are here."""

    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Family:
    """A metric."""

    name: str
    """As it is exported; a counter's with ``_total``."""
    kind: Kind
    text: str
    labels: tuple[str, ...] = ()

    @property
    def base(self) -> str:
        """The name without ``_total``, as the library has it."""
        return self.name.removesuffix("_total")


APP: Final = ("unique_name", "app")
STREAM: Final = ("unique_name", "app", "pubdomain", "stream")


def _gauge(name: str, text: str, *labels: str) -> Family:
    return Family(name, Kind.GAUGE, text, labels)


def _counter(name: str, text: str, *labels: str) -> Family:
    return Family(f"{name}_total", Kind.COUNTER, text, labels)


def _histogram(name: str, text: str, *labels: str) -> Family:
    return Family(name, Kind.HISTOGRAM, text, labels)


_PROCESS: Final = (
    _gauge("openkls_info", "1, with what this process is.", "version", "role", "node"),
    _counter("process_cpu_seconds", "Processor time, user and system."),
    _gauge("process_resident_memory_bytes", "Memory that is in RAM."),
    _gauge("process_open_fds", "Open files."),
    _gauge("process_max_fds", "How many may be open."),
    _gauge("process_start_time_seconds", "When the service started, Unix time."),
    _gauge("openkls_scrape_seconds", "How long it took to read the metrics of the scrape before."),
    _counter("openkls_scrapes_refused", "Scrapes from elsewhere than loopback that showed no good token.", "status"),
    _counter("openkls_log_lines_dropped", "Log lines left out because nobody read them fast enough."),
)

_LIVE: Final = (
    _gauge("openkls_streams", "Streams published to this process.", *APP),
    _gauge("openkls_streams_troubled", "Those of them in trouble, by trouble.", *APP, "trouble"),
    _gauge("openkls_viewers", "Viewers at this process, by protocol.", *APP, "protocol"),
    _counter("openkls_received_bytes", "Bytes received from publishers.", *APP),
    _counter("openkls_sent_bytes", "Bytes sent to viewers, by protocol.", *APP, "protocol"),
    _counter("openkls_publishes_admitted", "Publishes that were let in."),
    _counter("openkls_publishes_ended", "Publishes that ended or were refused.", *APP, "code", "reason"),
    _counter("openkls_publishes_unknown_domain", "Publishes refused for a publish domain that nobody has."),
    _counter("openkls_publishes_opened_late", "Publishes let in before the store had their row."),
    _counter("openkls_refusal_rows_suppressed", "Refused publishes without a row of their own, by the limit a minute."),
    _gauge("openkls_bans", "Bans known to this process, lapsed ones too until they are forgotten."),
    _counter("openkls_viewers_skipped", "Times a viewer too slow for its stream was left behind until a key frame."),
    _counter("openkls_viewers_dropped", "Viewers that were too slow for too long."),
    _counter("openkls_streams_resumed", "Streams published again while somebody waited."),
    _gauge("openkls_connections", "Open connections, by port.", "port"),
    _counter("openkls_connections_refused", "Connections refused by the limit of their address, by port.", "port"),
    _counter("openkls_protocol_faults", "Connections ended by the peer's fault, by fault.", "fault"),
    _gauge("openkls_hls_streams", "Streams that HLS is made of."),
    _gauge("openkls_hls_sessions", "HLS sessions, counted as viewers or not yet."),
    _counter("openkls_hls_sessions_refused", "HLS sessions refused, by limit.", "limit"),
    _gauge("openkls_external_auth_asking", "Publishes that a customer's server is being asked about."),
    _counter("openkls_external_auth_answers", "What came of asking customers' servers.", "answer"),
)

_STREAMS: Final = (
    _gauge("openkls_stream_viewers", "Viewers of a stream at this process, by protocol.", *STREAM, "protocol"),
    _gauge("openkls_stream_received_bytes_per_second", "What the uplink of a stream carries.", *STREAM),
    _gauge("openkls_stream_encoded_bytes_per_second", "What the encoder of a stream makes.", *STREAM),
    _gauge("openkls_stream_sent_bytes_per_second", "What the viewers of a stream are sent.", *STREAM),
    _gauge("openkls_stream_frames_per_second", "Frames that arrive of a stream.", *STREAM),
    _gauge("openkls_stream_declared_frames_per_second", "Frames a stream says it has.", *STREAM),
    _gauge("openkls_stream_lost_frames_percent", "FLR: declared frames that do not arrive.", *STREAM),
)

_API: Final = (
    _counter(
        "openkls_api_calls", "Calls by action and outcome: 0, a RetCode, or an error's code.", "action", "outcome"
    ),
    _histogram("openkls_api_call_seconds", "Time from a call's last byte to its answer, by action.", "action"),
    _counter("openkls_http_requests", "Requests to the API by outcome, those that are no calls too.", "outcome"),
    _counter("openkls_http_site_requests", "Requests beside the API, by path and status.", "site", "status"),
    _counter("openkls_api_rate_refused", "Calls refused by the request rates."),
    _counter("openkls_api_authentications_refused", "Authentications that failed."),
    _gauge("openkls_api_answers_held", "Answers to failed authentications held back now."),
    _counter("openkls_api_answers_not_held", "Those not held back because too many were."),
    _counter("openkls_access_lines_left_out", "Refused calls without a line in the access log, by the limit a second."),
    _counter("openkls_audit_rows", "Rows of the audit of calls, by what became of them.", "outcome"),
    _gauge("openkls_certificate_expiry_time_seconds", "When the certificate of the HTTPS port ends, Unix time."),
    _counter("openkls_certificate_changes", "Changes of the certificate's files, by outcome.", "outcome"),
)

_STORE: Final = (
    _gauge("openkls_store_up", "1 while the store answers."),
    _histogram("openkls_store_seconds", "Time the store took, by kind of work.", "kind"),
    _counter("openkls_store_late", "Work that was not done within its deadline.", "kind"),
    _counter("openkls_store_refused", "Work refused because too much waited.", "kind"),
    _gauge("openkls_store_waiting", "Work that waits or is under way.", "kind"),
    _counter("openkls_store_batches", "Transactions of the writer."),
    _gauge("openkls_history_rows_waiting", "Rows of history that the store has not taken yet."),
    _counter("openkls_history_rows_dropped", "Rows of history lost because too many waited."),
)

_CALLBACKS: Final = (
    _gauge("openkls_callbacks_leader", "1 at the process that delivers the events of callbacks."),
    _gauge("openkls_callbacks_waiting", "Events that wait, of all processes, as the one that delivers knows."),
    _gauge("openkls_callbacks_dead", "Events given up and kept, as the one that delivers knows."),
    _gauge("openkls_callbacks_in_flight", "Events on their way."),
    _counter("openkls_callbacks_delivered", "Events that their servers accepted."),
    _counter("openkls_callbacks_failed", "Attempts to deliver an event that failed, by outcome.", "outcome"),
    _counter("openkls_callbacks_given_up", "Events that were tried for too long."),
    _counter("openkls_callbacks_refused", "Events not written down because too many of their space waited."),
)

_CLUSTER: Final = (
    _gauge("openkls_redis_up", "1 while Redis answers."),
    _histogram("openkls_redis_seconds", "Time that answered calls of Redis took."),
    _counter("openkls_redis_faults", "Calls of Redis that failed or were late."),
    _counter("openkls_redis_refused", "Calls not made because Redis did not answer."),
    _counter("openkls_redis_outages", "Times Redis stopped answering."),
    _gauge("openkls_peers", "Other processes of the cluster that show something."),
    _gauge("openkls_peers_age_seconds", "Time since the others' snapshots were looked at."),
    _counter("openkls_snapshots_posted", "Snapshots shown to the others."),
    _counter("openkls_snapshots_malformed", "Snapshots of others that could not be read."),
    _counter("openkls_signals", "Messages between processes, by what became of them.", "outcome"),
    _counter("openkls_claims_lost", "Sessions ended because another process held their name."),
    _counter("openkls_claims_unasked", "Names taken without Redis, as it did not answer."),
    _counter("openkls_rates_local", "Request rates judged by this process alone, as Redis did not answer."),
    _gauge("openkls_relays", "Streams pulled from other processes."),
    _counter("openkls_relays_opened", "Relays that came to carry a stream."),
    _counter("openkls_relays_lost", "Connections of relays that were lost."),
    _counter("openkls_relays_refused", "Viewers turned away because too many waited or too much was pulled."),
    _counter("openkls_hls_passed", "HLS requests passed on to other processes, by outcome.", "outcome"),
    _gauge("openkls_node_processes", "Processes of a node that show something.", "node"),
    _gauge("openkls_node_streams", "Streams published to a node.", "node", *APP),
    _gauge("openkls_node_viewers", "Viewers at a node, by protocol.", "node", *APP, "protocol"),
    _gauge("openkls_node_received_bytes_per_second", "What the uplinks of a node's streams carry.", "node"),
    _gauge("openkls_node_sent_bytes_per_second", "What the viewers at a node are sent.", "node"),
)

FAMILIES: Final = {
    family.name: family for family in (*_PROCESS, *_LIVE, *_STREAMS, *_API, *_STORE, *_CALLBACKS, *_CLUSTER)
}
"""All of them, in the order in which they are exported."""
