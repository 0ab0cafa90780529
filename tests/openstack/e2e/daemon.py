"""The stackward binary as a process: one pass, the daemon, its death, its answers over HTTP."""
import json
import os
import re
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

from .checks import Failed, PATIENCE, until

# The daemon's own waits, shortened; what it does in them is the same.
BRISK = ('--poll-interval', '1s', '--prune-grace', '2s', '--prune-data-grace', '2s', '--gone-after', '3s',
         '--uncertain-window', '20s', '--prune-max-share', '100%')
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def free_port():
    """A loopback port that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


class Stackward:
    """How the binary is called in one run of the tests."""

    def __init__(self, binary, clouds, cloud, work, waits=BRISK):
        self.binary, self.cloud, self.work, self.waits = binary, cloud, work, waits
        self.environment = {**os.environ, 'OS_CLIENT_CONFIG_FILE': clouds, 'RUST_BACKTRACE': '1'}
        for name in [n for n in self.environment if n.startswith('OS_') and n != 'OS_CLIENT_CONFIG_FILE']:
            del self.environment[name]
        self.count = 0

    def log_path(self, name):
        self.count += 1
        return os.path.join(self.work, 'log-%02d-%s' % (self.count, name))

    def arguments(self, manifests, state, *more):
        return [self.binary, 'run', '--manifests', manifests, '--cloud', self.cloud, '--state-dir', state,
                '--log-format', 'json', *self.waits, *more]

    def once(self, manifests, state, seconds=300):
        """`run --once`; the exit status."""
        path = self.log_path('once')
        with open(path, 'w') as log:
            done = subprocess.run(self.arguments(manifests, state, '--once', '--listen', '127.0.0.1:%d' % free_port()),
                                  env=self.environment, stdout=log, stderr=log, timeout=seconds * PATIENCE)
        if done.returncode:
            raise Failed('run --once ended with %d:\n%s' % (done.returncode, tail(path)))
        return path

    def start(self, manifests, state, *more):
        """The daemon, in the background."""
        return Daemon(self, manifests, state, more)


class Daemon:
    """A running daemon."""

    def __init__(self, stackward, manifests, state, more):
        self.stackward, self.state = stackward, state
        self.path = stackward.log_path('daemon')
        self.url = 'http://127.0.0.1:%d' % free_port()
        with open(self.path, 'w') as log:
            self.process = subprocess.Popen(
                stackward.arguments(manifests, state, '--listen', self.url[len('http://'):], *more),
                env=stackward.environment, stdout=log, stderr=log)

    def __enter__(self):
        return self

    def __exit__(self, kind, *rest):
        if kind:
            print('      last lines of %s:\n%s' % (self.path, tail(self.path)))
        self.stop()

    def kill(self):
        """SIGKILL: nothing can be written any more."""
        self.process.send_signal(signal.SIGKILL)

    def stop(self):
        """SIGTERM; the exit status, and a failure when it does not end."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(60 * PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise Failed('the daemon did not end after SIGTERM') from None

    def alive(self):
        return self.process.poll() is None

    def pause(self):
        """It looks, and writes nothing, until `resume`."""
        self.tell('pause')

    def resume(self):
        self.tell('resume')

    def tell(self, word):
        done = subprocess.run([self.stackward.binary, word, '--state-dir', self.state],
                              env=self.stackward.environment, capture_output=True, text=True, timeout=60)
        if done.returncode:
            raise Failed('stackward %s: %s' % (word, done.stderr))

    def get(self, path):
        """The text that the daemon answers, or None while it does not."""
        try:
            with OPENER.open(self.url + path, timeout=5) as answer:
                return answer.read().decode()
        except (urllib.error.URLError, OSError):
            return None

    def writes(self):
        """Requests that may change something, as the daemon's own metrics count them, without logins."""
        total = 0
        for line in (self.get('/metrics') or '').splitlines():
            match = re.match(r'stackward_api_requests_total\{(.*)\} (\S+)$', line)
            if match:
                labels = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', match.group(1)))
                login = labels['service'] == 'identity' and 'tokens' in labels['route']
                if labels['method'] not in ('GET', 'HEAD') and not login:
                    total += float(match.group(2))
        return total

    def polls(self):
        """Requests of any kind that the metrics count: it grows while the daemon looks at the cloud."""
        text = self.get('/metrics') or ''
        return sum(float(v) for v in re.findall(r'^stackward_api_requests_total\{.*\} (\S+)$', text, re.M))

    def status(self):
        """What `stackward status -o json` shows; None while the daemon does not answer."""
        done = subprocess.run([self.stackward.binary, 'status', '--address', self.url, '-o', 'json'],
                              env=self.stackward.environment, capture_output=True, text=True, timeout=60)
        return json.loads(done.stdout) if done.stdout.strip() else None

    def objects(self):
        """{(kind, name): object} of that; nothing while there is no status."""
        shown = (self.status() or {'objects': {}})['objects']
        return {(key.split('/')[0], key.split('/')[-1]): one for key, one in shown.items()}

    def unavailable(self):
        """The objects that are not Available and up to date, with the reason; None while there is no status."""
        objects = self.objects()
        if not objects:
            return None
        missing = {}
        for key, one in objects.items():
            conditions = {c['type']: c for c in one['status'].get('conditions', [])}
            available, progressing = conditions.get('Available', {}), conditions.get('Progressing', {})
            if one['deleting'] or available.get('status') != 'True' or progressing.get('status') != 'False':
                missing['/'.join(key)] = available.get('message') or progressing.get('message') or 'no condition yet'
        return missing

    def wait_available(self, seconds=300):
        """Until every object is Available."""
        last = {}

        def probe():
            if not self.alive():
                raise Failed('the daemon ended with %s:\n%s' % (self.process.returncode, tail(self.path)))
            missing = self.unavailable()
            last['seen'] = missing
            return missing == {}
        try:
            until('all objects to be Available', probe, seconds)
        except Failed as why:
            raise Failed('%s; not yet: %s' % (why, last.get('seen'))) from None

    def wait_look(self):
        """Until it has looked at everything again."""
        # Compared as text, and up to a second later.
        now = time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(time.time() + 1))

        def looked():
            scopes = json.loads(self.get('/status') or '{}').get('scopes', {})
            looks = [at for scope in scopes.values() for at in scope['lookedAt'].values()]
            return looks and min(looks) > now
        until('another look', looked)

    def wait_rest(self, seconds=8):
        """Until it has looked several more times at the cloud."""
        end, begin = time.time() + seconds, self.polls()
        while time.time() < end:
            time.sleep(0.5)
        if self.polls() <= begin:
            raise Failed('the daemon does not look at the cloud any more')


def tail(path, lines=25):
    """The last lines of a log."""
    with open(path, errors='replace') as log:
        return ''.join('      | ' + line[:400] + ('' if line.endswith('\n') else '\n') for line in log.readlines()[-lines:])
