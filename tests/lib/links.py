"""Connections between services that can be made slow, one-way or broken, or led elsewhere: proxies on loopback."""

import asyncio
import contextlib
import threading

#: Bytes that are carried at once.
PIECE = 128 << 10

OPEN = "open"
#: Breaks connections, and every new one at once.
BROKEN = "broken"
#: Hold the bytes of one direction or of both until the link is open again, as packets that are lost and sent anew.
HOLES = {"hole": {"requests", "answers"}, "hole for requests": {"requests"}, "hole for answers": {"answers"}}


class Link:
    """A proxy in front of one service. All of it but `set` and `lead` runs on the loop of its `Links`."""

    def __init__(self, loop, source, target, port):
        self.loop = loop
        #: Who connects through it.
        self.source = source
        #: Who is behind it.
        self.target = target
        self.port = None
        self.upstream = port
        self.mode = OPEN
        self.delay_seconds = 0
        self.changed = asyncio.Condition()
        self.connections = set()

    @property
    def address(self):
        """Where to connect to."""
        return f"127.0.0.1:{self.port}"

    def set(self, mode, delay_seconds=0):
        """From now on it does this; what it carries is `delay_seconds` late."""
        self._run(self._set(mode, delay_seconds))

    def lead(self, port):
        """From now on it leads there, or nowhere; connections to elsewhere are broken."""
        self._run(self._lead(port))

    def _run(self, work):
        asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    async def _set(self, mode, delay_seconds):
        self.mode, self.delay_seconds = mode, delay_seconds
        if mode == BROKEN:
            self._break()
        async with self.changed:
            self.changed.notify_all()

    async def _lead(self, port):
        if port != self.upstream:
            self.upstream = port
            self._break()

    def _break(self):
        for connection in self.connections:
            connection.cancel()

    async def accept(self, reader, writer):
        """One connection, from its beginning to its end."""
        task = asyncio.current_task()
        self.connections.add(task)
        writers = [writer]
        try:
            await self._passes("requests", "answers")
            if self.mode == BROKEN or self.upstream is None:
                return
            upstream_reader, upstream_writer = await asyncio.open_connection("127.0.0.1", self.upstream)
            writers.append(upstream_writer)
            # Not a group: what ends one direction in order leaves the other as it is.
            pumps = [asyncio.create_task(self._pump(reader, upstream_writer, "requests")),
                     asyncio.create_task(self._pump(upstream_reader, writer, "answers"))]
            try:
                await asyncio.gather(*pumps)
            finally:
                for pump in pumps:
                    pump.cancel()
        except (OSError, asyncio.CancelledError):
            # Both ends are broken below; that is all that a peer sees.
            pass
        finally:
            self.connections.discard(task)
            for each in writers:
                each.transport.abort()

    async def _pump(self, reader, writer, direction):
        while piece := await reader.read(PIECE):
            await self._passes(direction)
            if self.delay_seconds:
                await asyncio.sleep(self.delay_seconds)
            writer.write(piece)
            await writer.drain()
        await self._passes(direction)
        writer.write_eof()

    async def _passes(self, *directions):
        """Waits until the link lets bytes through."""
        while HOLES.get(self.mode, set()) & set(directions):
            async with self.changed:
                await self.changed.wait_for(lambda: not HOLES.get(self.mode, set()) & set(directions))


class Links:
    """Links, on a thread of their own. As a context manager they are closed in the end."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.all = []

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        with contextlib.suppress(RuntimeError):
            self.loop.close()

    def open(self, source, target, port):
        """A new link that listens."""
        return asyncio.run_coroutine_threadsafe(self._open(source, target, port), self.loop).result(30)

    async def _open(self, source, target, port):
        link = Link(self.loop, source, target, port)
        server = await asyncio.start_server(link.accept, "127.0.0.1", 0, limit=PIECE)
        link.port = server.sockets[0].getsockname()[1]
        self.all.append(link)
        return link

    def of(self, name):
        """Those that a service has at either end."""
        return [link for link in self.all if name in (link.source, link.target)]
