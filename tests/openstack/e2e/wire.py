"""A proxy between stackward and the cloud: an independent witness of every request, and a place to kill the daemon.

It listens on one loopback port per service, hands each request on unchanged, and rewrites only the catalog in Keystone's
answers, so that the client finds the other services through it. Traps stop the daemon at an exact request; a storm loses
and delays requests by chance.
"""
import collections
import http.client
import http.server
import re
import threading
import time

SAFE = ('GET', 'HEAD', 'OPTIONS')
HOP = {'connection', 'keep-alive', 'transfer-encoding', 'te', 'trailer', 'upgrade', 'proxy-connection'}


class Trap:
    """Fires once, at the first matching request: `before` it reaches the cloud, or `after` (the answer is lost)."""

    def __init__(self, name, method, path, when='after'):
        self.name, self.method, self.path, self.when = name, method, re.compile(path), when
        self.fired = False


class Storm:
    """Bad weather on the wire, by chance: a request is lost, held up, or answered to nobody, or the daemon dies at it.

    A seed gives the dice. Which request gets which one depends on how the requests interleave.
    """

    CHANCES = ('cut', 0.06), ('slow', 0.10), ('die', 0.02)

    def __init__(self, dice):
        self.dice, self.lock = dice, threading.Lock()
        self.struck = collections.Counter()

    def strike(self, when):
        """What happens to a request: None, 'cut', 'die', or the seconds for which it is held up."""
        with self.lock:
            at = self.dice.random()
            for what, chance in self.CHANCES:
                if at < chance:
                    self.struck['%s %s' % (what, when)] += 1
                    return self.dice.uniform(0.2, 1.5) if what == 'slow' else what
                at -= chance
        return None


class Wire:
    """The proxies of one cloud. `ports` maps a service's real port to its name."""

    def __init__(self, host, ports):
        self.host, self.lock = host, threading.Lock()
        self.log, self.traps, self.storm, self.kill = [], [], None, None
        self.front = {}
        self.servers = []
        for port, service in ports.items():
            server = http.server.ThreadingHTTPServer((host, 0), self.handler(service, port))
            server.daemon_threads = True
            self.front[port] = server.server_address[1]
            threading.Thread(target=server.serve_forever, daemon=True).start()
            self.servers.append(server)

    def close(self):
        for server in self.servers:
            server.shutdown()
            server.server_close()

    def mark(self):
        """A position in the log, to count from."""
        with self.lock:
            return len(self.log)

    def since(self, mark, writes=True):
        """The requests after a mark: writes other than logins, or reads."""
        with self.lock:
            part = self.log[mark:]
        return [r for r in part if (r['method'] not in SAFE) == writes
                and not (r['service'] == 'identity' and r['path'].endswith('/tokens'))]

    def note(self, record):
        with self.lock:
            self.log.append(record)

    def lost(self, when, method, path):
        """Whether the request (or its answer) is lost here: at a trap, where the daemon dies, or in a storm."""
        with self.lock:
            for trap in self.traps:
                if not trap.fired and trap.when == when and trap.method == method and trap.path.search(path):
                    trap.fired = True
                    self.kill()
                    return True
        storm = self.storm
        strike = storm.strike(when) if storm else None
        if strike == 'die':
            self.kill()
        elif strike not in (None, 'cut'):
            time.sleep(strike)
            return False
        return strike is not None

    def rewrite(self, text):
        for real, front in self.front.items():
            text = text.replace(b'%s:%d/' % (self.host.encode(), real), b'%s:%d/' % (self.host.encode(), front))
            text = text.replace(b'%s:%d"' % (self.host.encode(), real), b'%s:%d"' % (self.host.encode(), front))
        return text

    def handler(wire, service, port):
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = 'HTTP/1.1'

            def log_message(self, *args):
                pass

            def body(self):
                """The request's body as an iterable of parts, or None."""
                if self.headers.get('Transfer-Encoding', '').lower() == 'chunked':
                    return self.chunks()
                length = int(self.headers.get('Content-Length') or 0)
                return self.parts(length) if length else None

            def parts(self, left):
                while left:
                    part = self.rfile.read(min(left, 1 << 20))
                    if not part:
                        raise ConnectionError('the client went away')
                    left -= len(part)
                    yield part

            def chunks(self):
                while True:
                    size = int(self.rfile.readline().split(b';')[0], 16)
                    if size:
                        yield from self.parts(size)
                    self.rfile.readline()
                    if not size:
                        return

            def relay(self):
                record = {'service': service, 'method': self.command, 'path': self.path.split('?')[0], 'status': None}
                wire.note(record)
                if wire.lost('before', self.command, self.path):
                    return self.hang_up()
                # the Host header stays the proxy's, so that links in answers lead through it
                headers = {k: v for k, v in self.headers.items() if k.lower() not in HOP}
                chunked = self.headers.get('Transfer-Encoding', '').lower() == 'chunked'
                if chunked:
                    headers['Transfer-Encoding'] = 'chunked'
                cloud = http.client.HTTPConnection(wire.host, port, timeout=300)
                try:
                    cloud.request(self.command, self.path, self.body(), headers, encode_chunked=chunked)
                    answer = cloud.getresponse()
                    text = answer.read()
                except (OSError, http.client.HTTPException, ValueError):
                    return self.hang_up()
                finally:
                    cloud.close()
                record['status'] = answer.status
                if wire.lost('after', self.command, self.path):
                    return self.hang_up()
                if service == 'identity':
                    text = wire.rewrite(text)
                self.send_response(answer.status, answer.reason)
                for name, value in answer.getheaders():
                    if name.lower() not in HOP | {'content-length', 'date', 'server'}:
                        self.send_header(name, value)
                if self.command != 'HEAD' and answer.status not in (204, 304):
                    self.send_header('Content-Length', str(len(text)))
                self.end_headers()
                if self.command != 'HEAD':
                    self.wfile.write(text)

            def hang_up(self):
                self.close_connection = True

            def handle(self):
                try:
                    super().handle()
                except ConnectionError:
                    pass                  # a killed daemon closes its sockets in the middle

            do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = relay

        return Handler
