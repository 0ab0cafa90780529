"""What people do to things that are in use, and what the cloud refuses: done where it can be done, said in words where not.

usage: python -m e2e.in_use BINARY      (tests/openstack/run calls it; see there for the environment)
"""
import json
import os
import re
import sys
import tempfile
import time

from .account import Account
from .checks import Checks, Failed, require, until
from .daemon import Stackward

LAB = os.environ['LAB_DIR']
SSH = {'direction': 'ingress', 'ethertype': 'IPv4', 'protocol': 'tcp', 'portRange': {'min': 22, 'max': 22}}
WEB = {'direction': 'ingress', 'ethertype': 'IPv4', 'protocol': 'tcp', 'portRange': {'min': 80, 'max': 80}}


class Round:
    """Two servers, two volumes and a security group."""

    def __init__(self, binary, checks):
        self.checks = checks
        self.work = tempfile.mkdtemp(prefix='in-use-', dir=os.path.join(LAB, 'e2e'))
        self.account = Account(self.work, 'in-use')
        self.client, self.cloud = self.account.client, self.account.cloud
        self.stackward = Stackward(binary, self.account.clouds, 'mine', self.work)
        # It looks too seldom to notice by itself what a person does.
        self.seldom = Stackward(binary, self.account.clouds, 'mine', tempfile.mkdtemp(prefix='seldom-', dir=self.work),
                                waits=('--poll-interval', '1h'))
        self.manifests, self.state = os.path.join(self.work, 'manifests'), os.path.join(self.work, 'state')
        os.mkdir(self.manifests)
        with open(os.path.join(self.manifests, 'base.raw'), 'wb') as out:
            out.truncate(1 << 20)
        self.wanted = {'size': 1, 'type': 'lvmdriver-1', 'flavor': 'm1.nano', 'rules': [SSH], 'other': {}}

    def declare(self, **changes):
        """The manifests, with these changes."""
        self.wanted.update(changes)
        wanted = self.wanted
        server = {'imageRef': 'base', 'networks': 'none'}
        documents = [
            ('Image', 'base', {'content': {'diskFormat': 'raw', 'file': 'base.raw'}}),
            ('Volume', 'data', {'size': wanted['size'], 'volumeTypeRef': {'filter': {'name': wanted['type']}}}),
            ('Volume', 'spare', {'size': 1}),
            ('SecurityGroup', 'group', {'rules': wanted['rules']}),
            ('Server', 'mine', {**server, 'flavorRef': {'filter': {'name': wanted['flavor']}},
                                'volumes': [{'volumeRef': 'data'}, {'volumeRef': 'spare'}]}),
            ('Server', 'other', {**server, 'flavorRef': {'filter': {'name': 'm1.nano'}}, **wanted['other']}),
        ]
        draft = os.path.join(self.work, 'draft')
        with open(draft, 'w') as out:
            for kind, name, resource in documents:
                json.dump({'apiVersion': 'stackward.dev/v1alpha1', 'kind': kind, 'metadata': {'name': name},
                           'spec': {'resource': resource}}, out)
                out.write('\n---\n')
        os.rename(draft, os.path.join(self.manifests, 'all.yaml'))

    def one(self, kind, name):
        return next(item for item in self.cloud.list(kind) if item['name'] == name)

    def is_attached(self, volume, server):
        there = self.cloud.attachment(self.one('volume', volume)['id'])
        return there and there[0] == self.one('server', server)['id']

    def make(self, daemon):
        daemon.wait_available()
        require(self.is_attached('data', 'mine') and self.is_attached('spare', 'mine'), 'they are not attached')

    def grow(self, daemon):
        before = self.one('volume', 'data')['attachments']
        self.declare(size=2)
        until('the volume to grow', lambda: self.one('volume', 'data')['size'] == 2)
        daemon.wait_available()
        require(self.one('volume', 'data')['attachments'] == before, 'it was detached meanwhile')

    def retype(self, daemon):
        before = self.one('volume', 'data')['attachments']
        self.declare(type='lvmdriver-2')
        until('the volume to have another type', lambda: self.one('volume', 'data')['volume_type'] == 'lvmdriver-2')
        daemon.wait_available()
        require(self.one('volume', 'data')['attachments'] == before, 'it was detached meanwhile')

    def elsewhere(self, daemon):
        """Attached to the wrong server: nothing is torn from a server that says nothing of its volumes."""
        daemon.pause()
        self.client('server remove volume mine spare')
        until('the volume to be free', lambda: self.one('volume', 'spare')['status'] == 'available')
        self.client('server add volume other spare')
        until('the volume to be in use', lambda: self.is_attached('spare', 'other'))
        daemon.resume()
        spare = self.one('volume', 'spare')['id']
        words = self.wait_words(daemon, 'mine', spare)
        require(self.is_attached('spare', 'other'), 'it was torn away')
        return words

    def back(self, daemon):
        """Where its manifest says that the other server has no volumes, it comes back."""
        self.declare(other={'volumes': []})
        until('the volume to come back', lambda: self.is_attached('spare', 'mine'))
        daemon.wait_available()

    def locked(self, daemon):
        server = self.one('server', 'mine')['id']
        self.client('server lock --reason "of the test" mine')
        daemon.wait_look()
        writes = daemon.writes()
        self.declare(flavor='m1.tiny')
        words = self.wait_words(daemon, 'mine', 'openstack server unlock ' + server)
        daemon.wait_rest()
        require(daemon.writes() == writes, 'something was written all the same')
        self.client('server unlock mine')
        until('the server to be resized', lambda: self.one('server', 'mine')['flavor']['original_name'] == 'm1.tiny')
        daemon.wait_available()
        return words

    def twin(self, daemon):
        """A rule that a person adds at the same moment: Neutron's 409 names it, and it is what was wanted."""
        daemon.wait_available()
        group = self.one('security_group', 'group')['id']
        self.client('security group rule create --protocol tcp --dst-port 80 --description theirs {group}', group=group)
        self.declare(rules=[SSH, WEB])
        until('the 409', lambda: re.search('rule already exists', open(daemon.path).read()))
        daemon.wait_available()
        rules = [r for r in self.one('security_group', 'group')['security_group_rules'] if r['port_range_min'] == 80]
        require([rule['description'] for rule in rules] == ['theirs'], rules)

    def wait_words(self, daemon, server, words):
        """Until this is why nothing is done about a server; all of the reason."""
        last = []

        def said():
            conditions = daemon.objects().get(('Server', server), {}).get('status', {}).get('conditions', [])
            last[:] = [c['message'] for c in conditions if c['type'] == 'Progressing']
            return words in ''.join(last)
        try:
            until('the reason', said)
        except Failed as why:
            raise Failed('%s; it is: %s' % (why, last)) from None
        return last[0]

    def run(self):
        run = self.checks.run
        self.declare()
        try:
            with self.stackward.start(self.manifests, self.state) as daemon:
                run('in use: servers and their volumes are made', self.make, daemon, fatal=True)
                run('in use: a volume grows while it is attached', self.grow, daemon)
                run('in use: a volume takes another type while it is attached', self.retype, daemon)
                run('in use: a volume on the wrong server is not torn away', self.elsewhere, daemon)
                run('in use: and comes back when that server is to have none', self.back, daemon)
                run('in use: a locked server is left alone, with a reason', self.locked, daemon)
            with self.seldom.start(self.manifests, self.state) as daemon:
                run('in use: a rule that is there already is the one that was wanted', self.twin, daemon)
        finally:
            start = time.time()
            self.account.remove()
            print('      the project was removed in %.0f s' % (time.time() - start))


def main():
    os.makedirs(os.path.join(LAB, 'e2e'), exist_ok=True)
    checks = Checks()
    Round(os.path.abspath(sys.argv[1]), checks).run()
    sys.exit(checks.summary())


if __name__ == '__main__':
    main()
