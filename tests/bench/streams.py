"""The streams that the bridge writes, each with its floor."""
import contextlib
import pathlib

import rows


class EmbeddedStream:
    name = "SQLite"

    def __init__(self, build):
        self._bare = build / "bin" / "bare_transaction"

    def bridge(self, folder, port):
        import rig as r

        bridge = r.Bridge(folder, port)
        self._file = bridge.stream
        return bridge

    def reader(self, bridge):
        return ["sse", bridge.admin_port]

    def bare(self, *how):
        return rows.answer_of(self._bare, "sqlite", self._file, *how)


class KafkaStream:
    name = "Kafka"

    def __init__(self, build, cluster):
        from confluent_kafka.admin import AdminClient, NewTopic
        import kafka

        self._bare, self._cluster, self._number = build / "bin" / "bare_transaction", cluster, 0
        admin = AdminClient({"bootstrap.servers": cluster.bootstrap})
        topics = [NewTopic("bare.events", 3, 1), NewTopic("bare.progress", kafka.PROGRESS_PARTITIONS, 1)]
        for made in admin.create_topics(topics).values():
            made.result(30)

    def bridge(self, folder, port):
        """On topics of its own."""
        import kafka
        import rig as r

        self._number += 1
        self._topics = f"run{self._number}"
        names = {f"{which}_topic": f"{self._topics}.{which}" for which in ("events", "gateways", "progress", "dead_letter")}
        bridge = r.Bridge(folder, port, overrides=kafka.overrides(self._cluster, **names))
        kafka.create_topics(bridge.config)
        return bridge

    def reader(self, _):
        return ["kafka", self._cluster.bootstrap, f"{self._topics}.events"]

    def bare(self, *how):
        return rows.answer_of(self._bare, "kafka", self._cluster.bootstrap, self._topics, *how)


@contextlib.contextmanager
def both(build, folder, only=""):
    """Those whose name matches; Kafka's brokers run as long as this is entered."""
    chosen = [EmbeddedStream(build)] if only in ("", "sqlite") else []
    with contextlib.ExitStack() as stack:
        if only in ("", "kafka"):
            import kafka

            cluster = kafka.start(pathlib.Path(folder))
            for node in cluster.processes:
                stack.callback(node.kill9)
            chosen.append(KafkaStream(build, cluster))
        yield chosen


def owns(bridge):
    """Whether it is the writer of every partition."""
    status = bridge.status()
    return status["partitions"] and all(one["owned"] for one in status["partitions"])
