"""Chaos on a real control plane: round after round other manifests, while the daemon is killed at random moments, its
connections are cut and held up before and after the cloud has done the work, and now and then Nova's API or RabbitMQ dies.
Then the weather clears, and there must be exactly one of each that is declared, none of what is not, and nothing about
what belongs to others may have changed.

usage: python -m e2e.chaos BINARY [ROUNDS [SEED]]      (tests/openstack/chaos calls it; see there for the environment)
"""
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import openstack

from .checks import Checks, PATIENCE, require, until
from .cloud import Cloud, OURS, differences, new_since
from .daemon import Stackward, tail
from .wire import Storm, Wire
from .wordpress import HOST, LAB, MANIFESTS, PORTS, through

USER = 'demo2'                       # a project without anything else in it
STORM = 6                            # seconds of bad weather in a round
# Grace and budgets have tests of their own; here everything is to happen at once. The window is longer than the wire
# holds a request up.
HASTE = ('--poll-interval', '1s', '--prune-grace', '0s', '--prune-data-grace', '0s', '--prune-max-share', '100%',
         '--prune-per-cycle', '1000', '--prune-per-hour', '100000', '--prune-allow-empty',
         '--gone-after', '1s', '--uncertain-window', '6s')
RULES = [{'direction': 'egress', 'ethertype': 'IPv4'}, {'direction': 'ingress', 'ethertype': 'IPv4', 'protocol': 'tcp',
                                                        'portRange': {'min': 22, 'max': 22}}]


class Wishes:
    """What the manifests declare: each part is there or not, with values that change from round to round."""

    def __init__(self, dice):
        self.dice, self.size = dice, 1
        self.turn()

    def turn(self):
        """Another wish."""
        likely = lambda chance: self.dice.random() < chance
        self.network = likely(0.9)
        self.image, self.volume = likely(0.8), likely(0.8)
        # Something always: without anything to do a daemon does not look, and nobody sees that it rests.
        self.key = likely(0.8) or not (self.network or self.image or self.volume)
        self.db = self.network and self.image and self.volume and self.key and likely(0.8)
        self.blog = self.network and self.image and likely(0.6)
        self.address = self.blog and likely(0.6)
        self.word = 'word-%d' % self.dice.randrange(1000)
        # a volume that is kept cannot shrink
        self.size = self.size + likely(0.3) if self.volume else 1

    def documents(self):
        """The manifests, as (kind, name, spec.resource or spec)."""
        if self.network:
            yield 'Network', 'net', {'name': 'auto-dep-net', 'description': self.word}
            yield 'Subnet', 'subnet', {'name': 'auto-dep-subnet', 'networkRef': 'net', 'ipVersion': 4,
                                       'cidr': '192.168.50.0/24'}
            yield 'SecurityGroup', 'group', {'name': 'auto-dep', 'description': self.word, 'rules': RULES}
        if self.image:
            yield 'Image', 'image', {'name': 'ubuntu_server', 'content': {
                'diskFormat': 'qcow2', 'containerFormat': 'bare', 'file': 'images/ubuntu_server.qcow2'}}
        if self.volume:
            yield 'Volume', 'volume', {'name': 'mysql-volume', 'size': self.size, 'description': self.word}
        if self.key:
            yield 'KeyPair', 'key', {'name': 'jmilkfan-keypair', 'publicKeyFile': 'id_rsa.pub'}
        if self.db:
            yield from self.server('db', {'keypairRef': 'key', 'volumes': [{'volumeRef': 'volume', 'device': '/dev/vdb'}]})
        if self.blog:
            yield from self.server('blog', {})
        if self.address:
            outside = {'filter': {'name': 'public'}}
            yield 'Router', 'router', {'name': 'auto-dep-router', 'externalGateways': [{'networkRef': outside}]}
            yield 'RouterInterface', 'interface', {'type': 'Subnet', 'routerRef': 'router', 'subnetRef': 'subnet'}
            yield 'FloatingIP', 'address', {'floatingNetworkRef': outside, 'portRef': 'blog', 'description': self.word}

    def server(self, name, more):
        yield 'Port', name, {'name': name + '-port', 'networkRef': 'net', 'addresses': [{'subnetRef': 'subnet'}],
                             'securityGroupRefs': ['group']}
        yield 'Server', name, {'name': 'AUTO-DEP-' + name.upper(), 'imageRef': 'image', 'ports': [{'portRef': name}],
                               'flavorRef': {'filter': {'name': 'm1.tiny'}},
                               'metadata': [{'key': 'word', 'value': self.word}], **more}

    def write(self, directory):
        """Replaces the manifests; one file per kind, so that a half-written directory is seen now and then."""
        files = {}
        for kind, name, what in self.documents():
            spec = what if kind == 'RouterInterface' else {'resource': what}
            if kind == 'Server':                     # Nova may lose what it was told as well: it is stalled then
                spec['lifecycle'] = {'onError': 'Recreate', 'deadline': '60s'}
            files.setdefault(kind.lower() + '.yaml', []).append(json.dumps({
                'apiVersion': 'stackward.dev/v1alpha1', 'kind': kind, 'metadata': {'name': name}, 'spec': spec}))
        for name in os.listdir(directory):
            if name.endswith('.yaml') and name not in files:
                os.remove(os.path.join(directory, name))
        for name, texts in files.items():
            with open(os.path.join(directory, name), 'w') as out:
                out.write('\n---\n'.join(texts) + '\n')

    def names(self):
        """{kind: sorted names} that the cloud must hold."""
        names = {kind: [] for kind in OURS}
        words = {'KeyPair': 'keypair', 'SecurityGroup': 'security_group', 'RouterInterface': 'router_interface',
                 'FloatingIP': 'floating_ip'}
        for kind, _, what in self.documents():
            names[words.get(kind, kind.lower())].append(what.get('name', ''))
        return {kind: sorted(found) for kind, found in names.items()}

    def __str__(self):
        return '%s; size %d' % (' '.join(k.lower() + '/' + n for k, n, _ in self.documents()) or 'nothing', self.size)


class Operator:
    """Whoever runs the cloud. What a service was about to do for a volume or a server when its messages were lost with the
    broker is never done, and nobody but an administrator can say so; a daemon reports it and waits."""

    BUSY = ('creating', 'downloading', 'extending', 'retyping', 'attaching', 'detaching', 'deleting')

    def __init__(self, project):
        self.admin = openstack.connect(cloud='admin')
        self.project, self.busy = project, {}

    def help(self, seconds):
        """Puts right what has not moved for so long; what was done, in words."""
        now, everywhere = time.time(), {'all_projects': True, 'project_id': self.project}
        volumes = [(self.reset_volume, v.id, v.status) for v in self.admin.block_storage.volumes(**everywhere)
                   if v.status in self.BUSY]
        servers = [(self.reset_server, s.id, s.task_state) for s in self.admin.compute.servers(**everywhere)
                   if s.task_state]
        self.busy = {it: self.busy.get(it, now) for it in volumes + servers}
        for it, since in list(self.busy.items()):
            if now - since > seconds:
                del self.busy[it]
                yield it[0](*it[1:])

    def reset_server(self, server, task):
        try:
            self.admin.compute.reset_server_state(server, 'error')   # the daemon goes on from there
        except openstack.exceptions.HttpException as why:
            if why.status_code != 500:
                raise
            # It never reached a cell: there is only Nova's request for it, which nothing but a deletion takes back.
            self.admin.compute.delete_server(server)
            return 'a server that stayed %s was deleted' % task
        return 'a server that stayed %s was reset' % task

    def reset_volume(self, volume, status):
        storage = self.admin.block_storage
        if status in ('creating', 'downloading', 'deleting'):      # nothing is in it, or is to be
            storage.reset_volume_status(volume, 'error', None, None)
            storage.delete_volume(volume, force=True)
            return 'a volume that stayed %s was deleted' % status
        is_attached = storage.get_volume(volume).attachments
        storage.reset_volume_status(volume, 'in-use' if is_attached else 'available', None, None)
        return 'a volume that stayed %s was reset' % status


class Chaos:
    """All rounds: one journal and one project throughout."""

    def __init__(self, binary, seed):
        self.dice = random.Random(seed)
        self.work = tempfile.mkdtemp(prefix='chaos-', dir=os.path.join(LAB, 'e2e'))
        self.manifests, self.state = os.path.join(self.work, 'manifests'), os.path.join(self.work, 'state')
        os.mkdir(self.manifests)
        shutil.copytree(os.path.join(MANIFESTS, 'images'), os.path.join(self.manifests, 'images'))
        shutil.copy(os.path.join(MANIFESTS, 'id_rsa.pub'), self.manifests)
        self.cloud = Cloud(os.path.join(LAB, 'clouds.yaml'), USER)
        self.wire = Wire(HOST, PORTS)
        self.stackward = Stackward(binary, through(self.wire, self.work), USER, self.work, HASTE)
        self.operator = Operator(self.cloud.project)
        self.wishes = Wishes(self.dice)
        self.deaths, self.struck, self.services_died = 0, Storm(self.dice).struck, False

    def round(self, number):
        """Another wish, a storm, and then peace; what was seen."""
        self.wishes.turn()
        self.wishes.write(self.manifests)
        before, start = self.deaths, time.time()
        self.storm(number)
        with self.start() as daemon:
            self.settle(daemon)
            took = time.time() - start
            mark = self.wire.mark()
            daemon.wait_rest(2.5)
            writes = self.wire.since(mark)
            require(not writes, 'at rest it wrote: %s' % [(w['method'], w['path']) for w in writes])
        self.world()
        return '%d deaths, settled after %.0f s: %s' % (self.deaths - before, took, self.wishes)

    def start(self):
        return self.stackward.start(self.manifests, self.state)

    def storm(self, number):
        """Bad weather; the daemon is started again as often as it dies, as systemd would."""
        self.wire.storm = weather = Storm(self.dice)
        end = time.time() + STORM
        broken = {5: 'nova-api', 0: 'rabbitmq'}.get(number % 10)
        while time.time() < end:
            daemon = self.start()
            self.wire.kill = daemon.kill
            dies = time.time() + self.dice.uniform(0.5, 4)
            while daemon.alive() and time.time() < end:
                if time.time() > dies:
                    daemon.kill()
                time.sleep(0.02)
                if broken and time.time() > end - STORM / 2:
                    self.restart(broken)
                    broken = None
            if daemon.alive():
                daemon.kill()
            status = daemon.process.wait()
            require(status == -signal.SIGKILL, 'it ended by itself with %s:\n%s' % (status, tail(daemon.path)))
            self.deaths += 1
        self.wire.storm = None
        self.struck += weather.struck

    def restart(self, service):
        """Kills a service of the lab and starts it again."""
        with open(os.path.join(LAB, 'run', service + '.pid')) as file:
            os.killpg(int(file.read().split()[0]), signal.SIGKILL)
        up = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lab', 'up')
        with open(os.path.join(self.work, 'restart-%s.log' % service), 'a') as log:
            subprocess.run([up, '--start-only'], check=True, stdout=log, stderr=log, timeout=180 * PATIENCE)
        self.struck['restart of ' + service] += 1
        self.services_died = True

    def settle(self, daemon):
        """Until the daemon has what is declared, and nothing else."""
        declared = {(kind, name) for kind, name, _ in self.wishes.documents()}
        seen = {}

        def probe():
            require(daemon.alive(), 'it ended with %s:\n%s' % (daemon.process.returncode, tail(daemon.path)))
            looked = (daemon.status() or {}).get('looked')
            seen['objects'] = set(daemon.objects())
            seen['missing'] = daemon.unavailable() or {}
            for what in self.operator.help(30 * PATIENCE) if self.services_died else ():
                self.struck[what] += 1
            return looked and seen['objects'] == declared and not seen['missing']
        try:
            until('peace', probe, 240)
        except Exception as why:
            raise type(why)('%s; not declared: %s; not yet: %s' % (
                why, sorted(seen['objects'] - declared), seen['missing'])) from None

    def world(self):
        """Exactly one of each that is declared, as it is declared, and everything else untouched."""
        now = self.cloud.inventory()
        ours = new_since(self.before, now)
        found = {kind: sorted(item.get('name') or '' for item in items) for kind, items in ours.items()}
        require(found == self.wishes.names(), 'there is %s instead of %s' % (found, self.wishes.names()))
        changed = differences(self.before, now)
        require(not changed, 'of others: %s' % '; '.join(changed))
        for server in ours['server']:
            require(server['status'] == 'ACTIVE', '%s is %s' % (server['name'], server['status']))
            require(server['metadata'].get('word') == self.wishes.word, 'metadata %s' % server['metadata'])
        for volume in ours['volume']:
            require(volume['size'] == self.wishes.size, 'size %s' % volume['size'])
        if self.wishes.db:
            db = next(s for s in ours['server'] if s['name'] == 'AUTO-DEP-DB')
            at = self.cloud.attachment(ours['volume'][0]['id'])
            require(at == (db['id'], '/dev/vdb'), 'the volume is at %s' % (at,))

    def run(self, checks, rounds):
        self.cloud.inventory()                       # the first list makes Neutron's default security group
        foreign = self.cloud.make_foreign(os.path.join(MANIFESTS, 'images', 'ubuntu_server.qcow2'))
        self.before = self.cloud.inventory()
        try:
            for number in range(1, rounds + 1):
                if not checks.run('round %d' % number, self.round, number):
                    return                           # what follows would only repeat it; the world is left to be seen
            for name in os.listdir(self.manifests):
                if name.endswith('.yaml'):
                    os.remove(os.path.join(self.manifests, name))
            with self.start():
                checks.run('everything goes', until, 'an empty project',
                           lambda: not any(new_since(self.before, self.cloud.inventory()).values()), 240)
            self.cloud.remove_foreign(foreign)
        finally:
            self.wire.close()
            print('%d deaths; %s' % (self.deaths, ', '.join('%s: %d' % one for one in sorted(self.struck.items()))))


def main():
    binary, rounds = os.path.abspath(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 50
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else random.SystemRandom().randrange(1 << 32)
    print('%d rounds, seed %d' % (rounds, seed), flush=True)
    os.makedirs(os.path.join(LAB, 'e2e'), exist_ok=True)
    checks = Checks()
    Chaos(binary, seed).run(checks, rounds)
    sys.exit(checks.summary())


if __name__ == '__main__':
    main()
