"""The end-to-end test: manifests/wordpress on a real control plane, as an ordinary project user.

usage: python -m e2e.wordpress BINARY [ROUNDS]      (tests/openstack/run calls it; see there for the environment)
"""
import os
import shutil
import sys
import tempfile
import time

from .checks import Checks, require, until
from .cloud import Cloud, OURS, differences, new_since
from .daemon import Stackward, tail
from .wire import Trap, Wire

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), '..', '..', '..'))
MANIFESTS = os.path.join(ROOT, 'manifests', 'wordpress')
LAB = os.environ['LAB_DIR']
HOST = os.environ.get('LAB_HOST', '127.0.0.1')
PORTS = {int(os.environ.get('LAB_%s_PORT' % name, port)): service for name, port, service in (
    ('KEYSTONE', 5000, 'identity'), ('GLANCE', 9292, 'image'), ('NOVA', 8774, 'compute'),
    ('CINDER', 8776, 'block-storage'), ('NEUTRON', 9696, 'network'))}

# The daemon is killed at each of these requests, in one deployment. `after`: the cloud did it, the answer is lost.
# `before`: it never reached the cloud, which the daemon knows only after a wait.
TRAPS = (
    ('image made, answer lost', 'POST', r'/v2/images$', 'after'),
    ('upload done, answer lost', 'PUT', r'/v2/images/[^/]+/file$', 'after'),
    ('volume made, answer lost', 'POST', r'/volumes$', 'after'),
    ('keypair made, answer lost', 'POST', r'/os-keypairs$', 'after'),
    ('network made, answer lost', 'POST', r'/networks$', 'after'),
    ('subnet made, answer lost', 'POST', r'/subnets$', 'after'),
    ('router made, answer lost', 'POST', r'/routers$', 'after'),
    ('router interface made, answer lost', 'PUT', r'/add_router_interface$', 'after'),
    ('security group made, answer lost', 'POST', r'/security-groups$', 'after'),
    ('rule made, answer lost', 'POST', r'/security-group-rules$', 'after'),
    ('port made, answer lost', 'POST', r'/ports$', 'after'),
    ('server made, answer lost', 'POST', r'/servers$', 'after'),
    ('volume attached, answer lost', 'POST', r'/os-volume_attachments$', 'after'),
    ('floating IP made, answer lost', 'POST', r'/floatingips$', 'after'),
    ('a poll of servers', 'GET', r'/servers/detail', 'before'),
)
UNSENT = ('floating IP never sent', 'POST', r'/floatingips$', 'before')
# Removal: the left one is gone before the right one.
ORDER = (
    ('server AUTO-DEP-BLOG', 'server AUTO-DEP-DB'), ('server AUTO-DEP-BLOG', 'port blog-port'),
    ('server AUTO-DEP-DB', 'port db-port'), ('server AUTO-DEP-DB', 'volume mysql-volume'),
    ('server AUTO-DEP-DB', 'image ubuntu_server'), ('server AUTO-DEP-DB', 'keypair jmilkfan-keypair'),
    ('floating_ip', 'port blog-port'), ('port db-port', 'security_group auto-dep'), ('port db-port', 'subnet auto-dep-subnet'),
    ('port blog-port', 'security_group auto-dep'), ('port blog-port', 'subnet auto-dep-subnet'),
    ('router_interface', 'router auto-dep-router'), ('router_interface', 'subnet auto-dep-subnet'),
    ('subnet auto-dep-subnet', 'network auto-dep-net'),
)
PATHS = {'servers': 'server', 'ports': 'port', 'volumes': 'volume', 'floatingips': 'floating_ip', 'routers': 'router',
         'subnets': 'subnet', 'networks': 'network', 'security-groups': 'security_group', 'images': 'image',
         'os-keypairs': 'keypair'}


def through(wire, work):
    """A clouds.yaml whose auth_url leads through the proxy; the proxy sees to the rest."""
    keystone = next(port for port, service in PORTS.items() if service == 'identity')
    path = os.path.join(work, 'clouds.yaml')
    with open(os.path.join(LAB, 'clouds.yaml')) as source, open(path, 'w') as out:
        out.write(source.read().replace('%s:%d/' % (HOST, keystone), '%s:%d/' % (HOST, wire.front[keystone])))
    os.chmod(path, 0o600)
    return path


class Round:
    """One full round: its own work folder, manifests and state; the cloud is left as it was found."""

    def __init__(self, binary, number, checks):
        self.checks, self.number = checks, number
        self.work = tempfile.mkdtemp(prefix='round-%d-' % number, dir=os.path.join(LAB, 'e2e'))
        self.manifests, self.state = os.path.join(self.work, 'manifests'), os.path.join(self.work, 'state')
        shutil.copytree(MANIFESTS, self.manifests)
        self.cloud = Cloud(os.path.join(LAB, 'clouds.yaml'), 'demo')
        self.wire = Wire(HOST, PORTS)
        self.stackward = Stackward(binary, through(self.wire, self.work), 'demo', self.work)

    # ---- what must hold

    def ours(self):
        return new_since(self.before, self.cloud.inventory())

    def exactly_one_of_each(self):
        """Names and numbers of what is new are those of the manifests, neither more nor less."""
        ours = self.ours()
        for kind, names in OURS.items():
            found = sorted((item.get('name') or '') for item in ours[kind])
            if names == [None]:
                require(len(found) == 1, '%d of kind %s: %s' % (len(found), kind, ours[kind]))
            else:
                require(found == names, '%s: %s instead of %s' % (kind, found, names))
        return '%d resources' % sum(map(len, ours.values()))

    def foreign_untouched(self):
        changed = differences(self.before, self.cloud.inventory())
        require(not changed, '; '.join(changed))

    def deployed(self):
        """The world is as the manifests say, seen from outside."""
        ours = self.ours()
        servers = {s['name']: s for s in ours['server']}
        db, blog = servers['AUTO-DEP-DB'], servers['AUTO-DEP-BLOG']
        for server in (db, blog):
            require(server['status'] == 'ACTIVE', '%s is %s' % (server['name'], server['status']))
            require(server['flavor']['disk'] == 20, 'flavor %s' % server['flavor'])
            require(server['key_name'] == 'jmilkfan-keypair', 'keypair %s' % server['key_name'])
        require(db['metadata'].get('role') == 'database', 'metadata %s' % db['metadata'])
        volume, image, address = ours['volume'][0], ours['image'][0], ours['floating_ip'][0]
        require(self.cloud.attachment(volume['id']) == (db['id'], '/dev/vdb'), 'volume: %s' % volume['attachments'])
        require((volume['size'], volume['volume_type'], volume['availability_zone'], volume['description']) ==
                (5, 'lvmdriver-1', 'nova', 'backup volume of mysql server.'), 'volume %s' % volume)
        require((image['status'], image['min_disk'], image['disk_format'], image['visibility']) ==
                ('active', 20, 'qcow2', 'private'), 'image %s' % image)
        size = os.path.getsize(os.path.join(self.manifests, 'images', 'ubuntu_server.qcow2'))
        require(image['size'] == size, 'image has %s of %d bytes' % (image['size'], size))
        ports = {p['name']: p for p in ours['port']}
        require(ports['db-port']['device_id'] == db['id'] and ports['blog-port']['device_id'] == blog['id'], 'ports')
        require(address['port_id'] == ports['blog-port']['id'], 'floating IP on port %s' % address['port_id'])
        group = ours['security_group'][0]
        rules = sorted((r['port_range_min'], r['remote_ip_prefix']) for r in group['security_group_rules']
                       if r['direction'] == 'ingress')
        require([r[0] for r in rules] == [22, 80, 3306] and rules[2][1] == '192.168.50.0/24', 'rules %s' % rules)
        require({p for port in ports.values() for p in port['security_groups']} == {group['id']}, 'groups of the ports')

    def db(self):
        return next((s for s in self.ours()['server'] if s['name'] == 'AUTO-DEP-DB'), None)

    # ---- the steps

    def one_pass(self):
        self.stackward.once(self.manifests, self.state)
        self.deployed()
        return self.exactly_one_of_each()

    def second_pass(self):
        mark = self.wire.mark()
        self.stackward.once(self.manifests, self.state)
        writes, reads = self.wire.since(mark), self.wire.since(mark, writes=False)
        require(not writes, 'it wrote: %s' % [(w['method'], w['path']) for w in writes])
        return '%d reads' % len(reads)

    def rest(self, daemon):
        """The daemon looks at the cloud again and again, and writes nothing."""
        daemon.wait_available()
        mark, before = self.wire.mark(), daemon.writes()
        daemon.wait_rest()
        writes = self.wire.since(mark)
        require(not writes, 'it wrote: %s' % [(w['method'], w['path']) for w in writes])
        require(daemon.writes() == before, 'its metrics count %s more writes' % (daemon.writes() - before))
        require(daemon.get('/readyz') is not None, '/readyz does not answer 200')
        return '%d reads' % len(self.wire.since(mark, writes=False))

    def server_comes_back(self, daemon):
        old, volume = self.db(), self.ours()['volume'][0]['id']
        address = sorted(a['addr'] for a in sum(old['addresses'].values(), []))
        self.cloud.client('server', 'delete', '--wait', old['id'])
        until('a new AUTO-DEP-DB', lambda: (self.db() or old)['id'] != old['id'] and self.db()['status'] == 'ACTIVE', 180)
        new = self.db()
        until('the volume on it', lambda: self.cloud.attachment(volume) == (new['id'], '/dev/vdb'), 180)
        require(sorted(a['addr'] for a in sum(self.db()['addresses'].values(), [])) == address, 'another address')
        daemon.wait_available()
        self.deployed()
        self.exactly_one_of_each()

    def volume_comes_back(self, daemon):
        server, volume = self.db()['id'], self.ours()['volume'][0]['id']
        mark = self.wire.mark()             # before: the daemon may be done with it before the client has ended
        self.cloud.client('server', 'remove', 'volume', server, volume)
        until('the volume attached again', lambda: any(r['path'].endswith('/os-volume_attachments')
                                                       for r in self.wire.since(mark)), 120)
        until('the volume at its place', lambda: self.cloud.attachment(volume) == (server, '/dev/vdb'), 120)
        require(self.db()['id'] == server, 'the server was replaced')
        daemon.wait_available()

    def metadata_is_put_right(self, daemon):
        server = self.db()['id']
        self.cloud.client('server', 'set', '--property', 'role=changed-by-hand', server)
        until('role=database', lambda: self.db()['metadata'].get('role') == 'database', 120)
        self.cloud.client('server', 'unset', '--property', 'role', server)
        until('role=database again', lambda: self.db()['metadata'].get('role') == 'database', 120)
        require(self.db()['id'] == server, 'the server was replaced')
        daemon.wait_available()

    def blog_goes_alone(self, daemon):
        os.rename(os.path.join(self.manifests, '70-blog.yaml'), os.path.join(self.work, '70-blog.yaml'))
        until('AUTO-DEP-BLOG and its address to be gone', lambda: (
            [s['name'] for s in self.ours()['server']] == ['AUTO-DEP-DB'] and not self.ours()['floating_ip']), 180)
        require(len(self.ours()['port']) == 2 and len(self.ours()['volume']) == 1, 'more than that is gone')
        os.rename(os.path.join(self.work, '70-blog.yaml'), os.path.join(self.manifests, '70-blog.yaml'))
        until('AUTO-DEP-BLOG to come back', lambda: len(self.ours()['server']) == 2, 180)
        daemon.wait_available()
        self.deployed()

    def empty_directory_removes_nothing(self, daemon):
        """Without the flag an empty directory is taken for a mistake."""
        kept = os.path.join(self.work, 'kept')
        os.rename(self.manifests, kept)
        os.mkdir(self.manifests)
        mark = self.wire.mark()
        time.sleep(10)
        require(daemon.alive(), 'the daemon ended')
        require(not self.wire.since(mark), 'it wrote: %s' % self.wire.since(mark))
        self.exactly_one_of_each()
        os.rmdir(self.manifests)
        os.rename(kept, self.manifests)
        daemon.wait_available()

    def everything_goes(self, daemon):
        """Empties the directory; then nothing of ours is left, and it went in reverse order."""
        daemon.wait_available()
        labels = {}
        for kind, items in self.ours().items():
            for item in items:
                labels[kind, item.get('id') or item['name']] = ' '.join(filter(None, (kind, item.get('name'))))
        mark = self.wire.mark()
        for name in os.listdir(self.manifests):
            if name.endswith('.yaml'):
                os.remove(os.path.join(self.manifests, name))
        until('everything to be gone', lambda: not any(self.ours().values()), 300)
        sent = [self.removed(r) for r in self.wire.since(mark) if r['status'] and r['status'] < 300]
        strange = [what for what in sent if what and what[0] != 'router_interface' and what not in labels]
        require(not strange, 'it removed what is not its own: %s' % strange)
        gone = {}
        for n, what in enumerate(sent):
            if what:
                gone[labels.get(what, what[0])] = n
        wrong = ['%s before %s' % (late, early) for early, late in ORDER if gone[late] < gone[early]]
        require(not wrong, 'removed in the wrong order: %s' % '; '.join(wrong))
        return '%d objects' % len(gone)

    @staticmethod
    def removed(request):
        """(kind, id) that a request removed, or None."""
        parts = request['path'].strip('/').split('/')
        if request['method'] == 'PUT' and parts[-1] == 'remove_router_interface':
            return 'router_interface', None
        if request['method'] == 'DELETE' and len(parts) > 1 and parts[-2] in PATHS:
            return PATHS[parts[-2]], parts[-1]
        return None

    def killed_all_along(self, traps):
        """kill -9 at each trap, a restart each time, until everything is there."""
        self.wire.traps = [Trap(*t) for t in traps]
        deaths = 0
        while True:
            daemon = self.stackward.start(self.manifests, self.state)
            self.wire.kill = daemon.kill
            try:
                until('a trap or the end', lambda: not daemon.alive() or daemon.unavailable() == {}, 600)
                if daemon.alive():
                    break
                status = daemon.process.wait()
                require(status == -9, 'the daemon ended by itself with %s:\n%s' % (status, tail(daemon.path)))
                deaths += 1
            finally:
                daemon.stop()
        left, self.wire.traps = [t.name for t in self.wire.traps if not t.fired], []
        require(not left, 'never reached: %s' % left)
        self.deployed()
        return '%d deaths, %s' % (deaths, self.exactly_one_of_each())

    def run(self):
        run = self.checks.run
        name = lambda text: 'round %d: %s' % (self.number, text)
        self.cloud.inventory()                       # the first list makes Neutron's default security group
        foreign = self.cloud.make_foreign(os.path.join(MANIFESTS, 'images', 'ubuntu_server.qcow2'))
        self.before = self.cloud.inventory()
        try:
            run(name('run --once converges'), self.one_pass, fatal=True)
            run(name('a second pass writes nothing'), self.second_pass)
            with self.stackward.start(self.manifests, self.state) as daemon:
                run(name('the daemon rests and only reads'), self.rest, daemon, fatal=True)
                run(name('a deleted server comes back with its volume and address'), self.server_comes_back, daemon)
                run(name('a detached volume is attached again'), self.volume_comes_back, daemon)
                run(name('changed metadata is put right'), self.metadata_is_put_right, daemon)
                run(name('a removed manifest removes what it made, and only that'), self.blog_goes_alone, daemon)
                run(name('an empty directory removes nothing'), self.empty_directory_removes_nothing, daemon)
                run(name('it rests again'), self.rest, daemon)
            with self.stackward.start(self.manifests, self.state, '--prune-allow-empty') as daemon:
                run(name('without manifests everything goes, in reverse order'), self.everything_goes, daemon, fatal=True)
            self.state = os.path.join(self.work, 'state-of-the-killed')
            shutil.rmtree(self.manifests)
            shutil.copytree(MANIFESTS, self.manifests)
            traps = TRAPS
            if self.number == 1:                     # once, it takes its time
                traps = tuple(t for t in TRAPS if t[2] != UNSENT[2]) + (UNSENT,)
            run(name('kill -9 all along the deployment leaves one of each'), self.killed_all_along, traps)
            with self.stackward.start(self.manifests, self.state, '--prune-allow-empty') as daemon:
                run(name('it rests after that'), self.rest, daemon)
                run(name('and everything goes again'), self.everything_goes, daemon)
            run(name('things of others with the same names are untouched'), self.foreign_untouched)
        finally:
            self.cloud.remove_foreign(foreign)
            self.wire.close()


def main():
    binary, rounds = os.path.abspath(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 2
    os.makedirs(os.path.join(LAB, 'e2e'), exist_ok=True)
    checks = Checks()
    for number in range(1, rounds + 1):
        Round(binary, number, checks).run()
    sys.exit(checks.summary())


if __name__ == '__main__':
    main()
