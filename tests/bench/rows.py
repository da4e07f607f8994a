"""The rows of the tables in docs/performance.md, for one server and for a cluster."""

# name, words for `ashlar bench`, target in µs of server CPU per operation
ROWS = [
    ("PUT 4 KiB, 16", "--op put --size 4KiB --concurrency 16", 150),
    ("PUT 4 KiB, 1", "--op put --size 4KiB --concurrency 1", 300),
    ("PUT 4 KiB signed, 16", "--op put --size 4KiB --concurrency 16 --signed-payload", 160),
    ("GET 4 KiB, 16", "--op get --size 4KiB --concurrency 16", 60),
    ("GET 4 KiB, 1", "--op get --size 4KiB --concurrency 1", None),
    ("PUT 4 KiB, 1,000", "--op put --size 4KiB --concurrency 1000", None),
    ("GET 4 KiB, 1,000", "--op get --size 4KiB --concurrency 1000", None),
    ("HEAD 4 KiB, 16", "--op head --size 4KiB --concurrency 16", 35),
    ("DELETE 4 KiB, 16", "--op delete --size 4KiB --concurrency 16 --objects 20000", 80),
    ("PUT 64 KiB, 16", "--op put --size 64KiB --concurrency 16", 300),
    ("GET 64 KiB, 16", "--op get --size 64KiB --concurrency 16", 110),
    ("PUT 1 MiB, 8", "--op put --size 1MiB --concurrency 8", 2100),
    ("PUT 1 MiB signed, 8", "--op put --size 1MiB --concurrency 8 --signed-payload", 2800),
    ("GET 1 MiB, 8", "--op get --size 1MiB --concurrency 8", 400),
    ("PUT 64 MiB, 4", "--op put --size 64MiB --concurrency 4", 120_000),
    ("GET 64 MiB, 4", "--op get --size 64MiB --concurrency 4", 25_000),
    ("64 KiB of 64 MiB, 16", "--op range --size 64MiB --range-size 64KiB --concurrency 16", 110),
    ("multipart 5 x 16 MiB, 2", "--op multipart --size 80MiB --part-size 16MiB --concurrency 2", 150_000),
    ("LIST 1,000 of 20 k, 2", "--op list --size 16 --objects 20000 --concurrency 2", 2000),
    ("LIST 200 prefixes of 20 k, 2", "--op list --size 16 --objects 20000 --prefixes 200 --concurrency 2", 800),
    ("COPY 1 MiB, 8", "--op copy --size 1MiB --concurrency 8", 150),
    ("COPY 64 MiB, 8", "--op copy --size 64MiB --objects 4 --concurrency 8", 150),
    ("mixed 64 KiB, 16", "--op mixed --size 64KiB --concurrency 16", 200),
]

CLUSTER_ROWS = [
    ("PUT 4 KiB, 16", "--op put --size 4KiB --concurrency 16", 600),
    ("GET 4 KiB, 16", "--op get --size 4KiB --concurrency 16", 200),
    ("HEAD 4 KiB, 16", "--op head --size 4KiB --concurrency 16", None),
    ("DELETE 4 KiB, 16", "--op delete --size 4KiB --concurrency 16 --objects 10000", None),
    ("PUT 64 KiB, 16", "--op put --size 64KiB --concurrency 16", None),
    ("GET 64 KiB, 16", "--op get --size 64KiB --concurrency 16", None),
    ("PUT 1 MiB, 8", "--op put --size 1MiB --concurrency 8", 5000),
    ("GET 1 MiB, 8", "--op get --size 1MiB --concurrency 8", 1000),
    ("mixed 64 KiB, 16", "--op mixed --size 64KiB --concurrency 16", 500),
]
