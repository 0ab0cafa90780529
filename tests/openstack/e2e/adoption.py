"""A project that was made by hand comes under stackward: export, adopt, no change; and then it is kept as it is.

usage: python -m e2e.adoption BINARY      (tests/openstack/run calls it; see there for the environment)
"""
import os
import re
import subprocess
import sys
import tempfile
import time

from .account import Account
from .checks import Checks, Failed, require, until
from .cloud import ordered
from .daemon import Stackward

LAB = os.environ['LAB_DIR']
KINDS = ('keypair', 'server_group', 'address_scope', 'network', 'subnet', 'security_group', 'port', 'trunk', 'router',
         'router_interface', 'image', 'volume', 'snapshot', 'server', 'floating_ip')
# Ours, and the cloud's own diary: everything else has to be as it was.
DIARY = {'updated_at', 'revision_number', 'updated', 'progress', 'os_hash_value', 'etag', 'migration_status',
         'OS-EXT-STS:task_state'}
# A keypair or an interface that was deleted by hand is made anew.
REBORN = {'keypair': {'created_at', 'user_id', 'id'},
          'router_interface': {'id', 'created_at', 'mac_address'}}


class Person(Account):
    """Makes a project by hand, and meddles with it."""

    def make(self):
        """At least thirty resources of every kind that a project has; their number."""
        c, made = self.client, self.client.made
        key = os.path.join(self.work, 'key.pub')
        with open(key, 'w') as out:
            out.write('ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBOCxGeLFIe4rb2+HG0HqsnyFM6Fp4bqUpX1w0cvoM+e\n')
        data = os.path.join(self.work, 'image.raw')
        with open(data, 'wb') as out:
            out.truncate(1 << 20)
        c('keypair create --public-key {key} ops', key=key)
        c('keypair create --public-key {key} "Ops Team"', key=key)
        apart = made('server group create --policy soft-anti-affinity apart')
        c('address scope create --ip-version 4 office')
        c('image create --file {data} --disk-format raw --min-disk 1 --property os_distro=debian --tag golden base', data=data)
        c('image create --file {data} --disk-format raw plain', data=data)
        # Networks: names that are no names of objects, and two of one name.
        front = made('network create --description "Web tier" "Front Net"')
        back = made('network create --tag tier2 back')
        twin = made('network create --mtu 1400 twin')
        c('network create --no-share twin')
        c('subnet create --network {net} --subnet-range 10.71.0.0/24 --dns-nameserver 9.9.9.9 front-v4', net=front)
        c('subnet create --network {net} --ip-version 6 --subnet-range fd71::/64 --ipv6-ra-mode slaac '
          '--ipv6-address-mode slaac front-v6', net=front)
        c('subnet create --network {net} --subnet-range 10.72.0.0/24 --gateway 10.72.0.254 --no-dhcp '
          '--allocation-pool start=10.72.0.100,end=10.72.0.200 --host-route destination=10.99.0.0/16,gateway=10.72.0.9 back',
          net=back)
        c('subnet create --network {net} --subnet-range 10.73.0.0/24 --gateway none lonely', net=twin)
        c('router create --description "The way out" edge')
        c('router set --external-gateway public edge')
        for subnet in ('front-v4', 'front-v6', 'back'):
            c('router add subnet edge {subnet}', subnet=subnet)
        c('router set --route destination=10.98.0.0/16,gateway=10.72.0.9 edge')
        # Groups that name each other.
        web = made('security group create --description "From everywhere" web')
        database = made('security group create database')
        c('security group rule create --protocol tcp --dst-port 443 {web}', web=web)
        c('security group rule create --protocol icmp --ethertype IPv4 {web}', web=web)
        c('security group rule create --protocol tcp --dst-port 5432 --remote-group {web} {db}', web=web, db=database)
        c('security group rule create --remote-group {db} {db}', db=database)
        c('security group rule create --egress --protocol udp --dst-port 514 --remote-ip 10.72.0.9/32 {db}', db=database)
        port = made('port create --network {net} --fixed-ip subnet=front-v4,ip-address=10.71.0.80 --security-group {web} '
                    '--allowed-address ip-address=10.71.0.100 web', net=front, web=web)
        c('port create --network {net} --fixed-ip subnet=back --no-security-group --disable-port-security appliance', net=back)
        parent = made('port create --network {net} --security-group {db} parent', net=back, db=database)
        child = made('port create --network {net} child', net=twin)
        c('network trunk create --parent-port {parent} --subport port={child},segmentation-type=vlan,segmentation-id=7 vlans',
          parent=parent, child=child)
        c('floating ip create --description "The shop" --port {port} public', port=port)
        c('floating ip create --description "The spare one" public')
        # Volumes: a snapshot, and one made of it.
        c('volume create --size 1 --description data --property role=data --type lvmdriver-2 data')
        until('the volume', lambda: self.is_available('data'))
        c('volume snapshot create --volume data nightly')
        until('the snapshot', lambda: all(s['status'] == 'available' for s in self.cloud.list('snapshot')))
        c('volume create --size 2 --snapshot nightly restored')
        c('volume create --size 1 --image plain --bootable root')
        for name in ('restored', 'root'):
            until('volume ' + name, lambda: self.is_available(name))
        c('server create --image base --flavor m1.tiny --port {port} --key-name ops --property role=web --tag blue '
          'web-1', port=port)
        # Its port is made by Nova, and it boots from its volume.
        c('server create --volume root --flavor m1.diskless --network back --security-group {db} --hint group={apart} db-1',
          db=database, apart=apart)
        until('the servers', lambda: all(s['status'] == 'ACTIVE' for s in self.cloud.list('server')), 180)
        c('server add volume web-1 data')
        until('the attachment', lambda: self.status('volume', 'data') == 'in-use')
        count = sum(len(items) for items in self.inventory().values())
        require(count >= 30, 'only %d resources' % count)
        return '%d resources' % count

    def status(self, kind, name):
        return next(i['status'] for i in self.cloud.list(kind) if i['name'] == name)

    def is_available(self, name):
        return self.status('volume', name) == 'available'

    def inventory(self):
        """{kind: {key: item}}, without what the cloud made for itself."""
        found = {}
        for kind in KINDS:
            items = self.cloud.list(kind)
            if kind == 'security_group':
                items = [i for i in items if i['name'] != 'default']
            found[kind] = {key_of(kind, i): without_marks(kind, i) for i in items}
        return found

    def meddle(self):
        """Changes each resource behind the daemon's back; how many."""
        c, at = self.client, {kind: self.cloud.list(kind) for kind in KINDS}
        count = 0

        def each(kind, command, items=None):
            nonlocal count
            for item in at[kind] if items is None else items:
                c(command, id=item.get('id') or item['name'], name=item.get('name') or '')
                count += 1
        # What the manifests say of each: what they do not mention is anybody's.
        for kind, command in (
                ('network', 'network set --name hijacked {id}'),
                ('subnet', 'subnet set --name hijacked {id}'),
                ('router', 'router set --name hijacked {id}'),
                ('address_scope', 'address scope set --name hijacked {id}'),
                ('trunk', 'network trunk set --name hijacked {id}'),
                ('port', 'port set --name hijacked {id}'),
                ('image', 'image set --name hijacked {id}'),
                ('volume', 'volume set --name hijacked {id}'),
                ('snapshot', 'volume snapshot set --name hijacked {id}'),
                ('server', 'server set --name hijacked {id}')):
            each(kind, command)
        named = {(kind, item.get('name')): item['id'] for kind in KINDS for item in at[kind] if item.get('id')}
        c('image set --min-disk 7 --property os_distro=plan9 {id}', id=named['image', 'base'])
        c('volume set --description "" --property role=hijacked {id}', id=named['volume', 'data'])
        c('server set --property role=hijacked {id}', id=named['server', 'web-1'])
        # The mark goes with the description: the manifest says which one it is.
        each('floating_ip', 'floating ip set --description hijacked {id}')
        groups = [g for g in at['security_group'] if g['name'] != 'default']
        each('security_group', 'security group set --name hijacked-{id} {id}', groups)
        for group in groups:
            c('security group rule delete {rule}', rule=group['security_group_rules'][0]['id'])
            c('security group rule create --protocol tcp --dst-port 23 {id}', id=group['id'])
        each('keypair', 'keypair delete {name}')
        shop = next(f for f in at['floating_ip'] if f['port_id'])
        c('floating ip unset --port {id}', id=shop['id'])
        taken = [p for p in at['router_interface'] if not p['fixed_ips'][0]['ip_address'].startswith('10.71.')]
        for leg in taken:
            router = leg['device_id']
            if at['router'] and any(r['routes'] for r in at['router']):
                c('router unset --route destination=10.98.0.0/16,gateway=10.72.0.9 {router}', router=router)
                at['router'] = []
            c('router remove subnet {router} {subnet}', router=router, subnet=leg['fixed_ips'][0]['subnet_id'])
            count += 1
        c('server remove volume {server} {volume}', server=named['server', 'web-1'], volume=named['volume', 'data'])
        return count


def key_of(kind, item):
    """By what a thing is known also after it was made anew."""
    if kind == 'router_interface':
        return item['device_id'], item['fixed_ips'][0]['subnet_id']
    return item['name'] if kind == 'keypair' else item['id']


MARK = re.compile(r' ?\[sw1\.[a-z0-9.]+\]$')


def without_marks(kind, item):
    """An item as a person sees it: without our marks, and without the cloud's diary."""
    seen = {key: value for key, value in item.items()
            if key not in DIARY | REBORN.get(kind, set()) and not key.startswith('stackward.')}
    for key in ('name', 'description'):
        if isinstance(seen.get(key), str):
            seen[key] = MARK.sub('', seen[key])
    # An empty description and none are the same.
    if 'description' in seen and not seen['description']:
        seen['description'] = ''
    if 'metadata' in seen:
        seen['metadata'] = {k: v for k, v in seen['metadata'].items() if not k.startswith('stackward.')}
    if kind == 'security_group':
        seen['security_group_rules'] = [
            # From anywhere and from no prefix in particular are one to Neutron: it refuses the other as a twin.
            {k: None if v in ('', '0.0.0.0/0', '::/0') else v for k, v in rule.items()
             if k not in ('id', 'standard_attr_id', 'created_at', 'updated_at', 'revision_number')}
            for rule in seen['security_group_rules']]
    if kind == 'keypair':
        seen['public_key'] = seen['public_key'].strip()
    if 'attachments' in seen:
        seen['attachments'] = [(a['server_id'], a['device']) for a in seen['attachments']]
    if kind == 'server':
        seen['os-extended-volumes:volumes_attached'] = [
            v['id'] for v in seen['os-extended-volumes:volumes_attached']]
    return ordered(seen)


def differences(before, now):
    """What is not as it was, as text."""
    found = []
    for kind in KINDS:
        for key in sorted(set(before[kind]) | set(now[kind]), key=str):
            old, new = before[kind].get(key), now[kind].get(key)
            if old is None or new is None:
                found.append('%s %s is %s' % (kind, (old or new).get('name') or key, 'new' if old is None else 'gone'))
                continue
            for field in sorted(set(old) | set(new)):
                if old.get(field) != new.get(field):
                    found.append('%s %s: %s was %s and is %s' % (
                        kind, old.get('name') or key, field, old.get(field), new.get(field)))
    return found


class Round:
    """From a project made by hand to one that is kept."""

    def __init__(self, binary, checks):
        self.checks = checks
        self.work = tempfile.mkdtemp(prefix='adoption-', dir=os.path.join(LAB, 'e2e'))
        self.person = Person(self.work, 'adoption')
        self.stackward = Stackward(binary, self.person.clouds, 'mine', self.work)
        self.manifests, self.state = os.path.join(self.work, 'manifests'), os.path.join(self.work, 'state')

    def command(self, *arguments, status=0):
        done = subprocess.run([self.stackward.binary, *arguments], env=self.stackward.environment, cwd=self.work,
                              capture_output=True, text=True, timeout=300)
        require(done.returncode == status, 'stackward %s ended with %d: %s%s' % (
            arguments[0], done.returncode, done.stdout[-1500:], done.stderr[-1500:]))
        return done.stdout

    def export(self):
        self.before = self.person.inventory()
        text = self.command('export', '--cloud', 'mine', '--output', self.manifests)
        twice = [self.command('export', '--cloud', 'mine') for _ in range(2)]
        require(twice[0] == twice[1], 'two exports differ')
        objects = twice[0].count('\napiVersion: ')
        there = sum(len(items) for items in self.before.values())
        require(objects == there, '%d objects of %d resources:\n%s' % (objects, there, text))
        return text.splitlines()[0]

    def validate(self):
        return self.command('validate', '--strict', self.manifests).strip()

    def plan(self, *more, status=0):
        return self.command('plan', '--manifests', self.manifests, '--cloud', 'mine', '--state-dir', self.state, *more,
                            status=status)

    def plan_adopts(self):
        legend = ' <= adopt: take over what exists'
        lines = [line for line in self.plan().splitlines() if line and line != legend and not line.startswith('Plan:')]
        strange = [line for line in lines if not line.endswith(' adopt')]
        require(lines and not strange, 'more than adoption: %s' % '\n'.join(strange or lines))
        return '%d to adopt' % len(lines)

    def adopt(self):
        self.stackward.once(self.manifests, self.state)
        changed = differences(self.before, self.person.inventory())
        require(not changed, 'it changed what it took over:\n%s' % '\n'.join(changed))

    def nothing_left(self):
        text = self.plan('--detailed-exitcode')
        require('Nothing to do' in text, text)

    def put_right(self, daemon):
        daemon.wait_available()
        # Its repairs would come between the person's own steps: routes before the interface that they lead through.
        daemon.pause()
        count = self.person.meddle()
        daemon.resume()
        last = []

        def as_before():
            last[:] = differences(self.before, self.person.inventory())
            return not last
        try:
            until('everything to be as it was', as_before, 120, every=2)
        except Failed as why:
            raise Failed('%s:\n%s' % (why, '\n'.join(last))) from None
        return '%d resources were changed' % count

    def rests(self, daemon):
        daemon.wait_available()
        writes = daemon.writes()
        daemon.wait_rest()
        require(daemon.writes() == writes, 'it still writes')

    def run(self):
        run = self.checks.run
        try:
            run('adoption: a project is made by hand', self.person.make, fatal=True)
            run('adoption: export', self.export, fatal=True)
            run('adoption: the export validates', self.validate, fatal=True)
            run('adoption: the plan is to adopt and nothing else', self.plan_adopts)
            run('adoption: run --once takes over and changes nothing', self.adopt, fatal=True)
            run('adoption: after that there is nothing to do', self.nothing_left)
            with self.stackward.start(self.manifests, self.state) as daemon:
                run('adoption: what is changed by hand is put right', self.put_right, daemon)
                run('adoption: and then it rests', self.rests, daemon)
            run('adoption: and there is nothing to do', self.nothing_left)
        finally:
            start = time.time()
            self.person.remove()
            print('      the project was removed in %.0f s' % (time.time() - start))


def main():
    os.makedirs(os.path.join(LAB, 'e2e'), exist_ok=True)
    checks = Checks()
    Round(os.path.abspath(sys.argv[1]), checks).run()
    sys.exit(checks.summary())


if __name__ == '__main__':
    main()
