"""What is really in the cloud: an observer of its own (openstacksdk), never stackward's own word."""
import json
import os
import subprocess

import openstack

from .checks import until

OURS = {   # what manifests/wordpress makes: kind -> names (None: it has no name of its own)
    'image': ['ubuntu_server'], 'volume': ['mysql-volume'], 'keypair': ['jmilkfan-keypair'],
    'network': ['auto-dep-net'], 'subnet': ['auto-dep-subnet'], 'router': ['auto-dep-router'],
    'router_interface': [None], 'security_group': ['auto-dep'], 'port': ['blog-port', 'db-port'],
    'server': ['AUTO-DEP-BLOG', 'AUTO-DEP-DB'], 'floating_ip': [None],
}


class Cloud:
    """One project of the lab, seen by an ordinary user."""

    def __init__(self, clouds, name):
        os.environ['OS_CLIENT_CONFIG_FILE'] = clouds
        self.name, self.venv = name, os.environ['LAB_VENV']
        self.sdk = openstack.connect(cloud=name)
        self.project = self.sdk.current_project_id

    def client(self, *args):
        """The openstack command line client, as a person at a terminal."""
        done = subprocess.run([os.path.join(self.venv, 'bin', 'openstack'), '--os-cloud', self.name, *args],
                              capture_output=True, text=True, timeout=180)
        if done.returncode:
            raise RuntimeError('openstack %s: %s' % (' '.join(args), done.stderr.strip()))
        return done.stdout

    def list(self, kind):
        """Raw list items of a kind, those of this project only."""
        sdk, project = self.sdk, {'project_id': self.project}
        if kind == 'server':
            return read(sdk.compute, '/servers/detail', 'servers', microversion='2.90')
        if kind == 'keypair':
            return [k['keypair'] for k in read(sdk.compute, '/os-keypairs', 'keypairs', microversion='2.90')]
        if kind == 'volume':
            return read(sdk.block_storage, '/volumes/detail', 'volumes', microversion='3.59')
        if kind == 'snapshot':
            return read(sdk.block_storage, '/snapshots/detail', 'snapshots', microversion='3.59')
        if kind == 'server_group':
            return read(sdk.compute, '/os-server-groups', 'server_groups', microversion='2.64')
        if kind == 'image':
            return read(sdk.image, '/images', 'images', params={'owner': self.project, 'limit': 1000})
        key = {'router_interface': 'ports', 'floating_ip': 'floatingips'}.get(kind, kind + 's')
        found = read(sdk.network, '/' + key.replace('_', '-'), key, params=project)
        if kind == 'router_interface':
            return [p for p in found if p['device_owner'] == 'network:router_interface']
        if kind == 'port':
            return [p for p in found if not p['device_owner'].startswith('network:')]
        return found

    def inventory(self):
        """{kind: {id: item}} of everything in the project."""
        return {kind: {i.get('id') or i['name']: i for i in self.list(kind)} for kind in OURS}

    def server(self, server_id):
        """One server, or None when it is gone."""
        return next((s for s in self.list('server') if s['id'] == server_id), None)

    def attachment(self, volume_id):
        """(server, device) of a volume that is in use, or None."""
        volume = next((v for v in self.list('volume') if v['id'] == volume_id), None)
        if volume and volume['status'] == 'in-use' and volume['attachments']:
            one = volume['attachments'][0]
            return one['server_id'], one['device']
        return None

    def make_foreign(self, image_file):
        """Things of the same names that somebody else made before: {kind: id}. They must never be touched."""
        sdk = self.sdk
        flavor = sdk.compute.find_flavor('m1.tiny')
        with open(image_file, 'rb') as data:
            image = sdk.image.create_image(name='ubuntu_server', disk_format='qcow2', container_format='bare',
                                           data=data.read(), validate_checksum=False)
        volume = sdk.block_storage.create_volume(name='mysql-volume', size=1, description='of somebody else')
        network = sdk.network.create_network(name='auto-dep-net', description='of somebody else')
        sdk.network.create_subnet(name='auto-dep-subnet', network_id=network.id, ip_version=4, cidr='192.168.50.0/24')
        group = sdk.network.create_security_group(name='auto-dep', description='of somebody else')
        server = sdk.compute.create_server(name='AUTO-DEP-DB', image_id=image.id, flavor_id=flavor.id,
                                           networks=[{'uuid': network.id}], metadata={'role': 'of somebody else'})
        until('the foreign server', lambda: self.server(server.id)['status'] == 'ACTIVE')
        until('the foreign volume', lambda: sdk.block_storage.get_volume(volume.id).status == 'available')
        return {'image': image.id, 'volume': volume.id, 'network': network.id, 'security_group': group.id,
                'server': server.id}

    def remove_foreign(self, foreign):
        """Takes them away again, at the end of a round."""
        sdk = self.sdk
        sdk.compute.delete_server(foreign['server'])
        until('end of the foreign server', lambda: self.server(foreign['server']) is None)
        sdk.block_storage.delete_volume(foreign['volume'])
        sdk.image.delete_image(foreign['image'])
        for port in sdk.network.ports(network_id=foreign['network']):
            sdk.network.delete_port(port)
        sdk.network.delete_network(foreign['network'])
        sdk.network.delete_security_group(foreign['security_group'])
        until('end of the foreign volume', lambda: all(v['id'] != foreign['volume'] for v in self.list('volume')))


def read(service, path, key, **how):
    """A list as the service answers it. A refused one is an error, not an empty list."""
    answer = service.get(path, **how)
    answer.raise_for_status()
    return answer.json()[key]


def new_since(before, now):
    """{kind: [items]} that are in `now` and were not in `before`."""
    return {kind: [item for key, item in now[kind].items() if key not in before[kind]] for kind in now}


def differences(before, now):
    """What changed or vanished among the things that were there before, as text."""
    found = []
    for kind, items in before.items():
        for key, item in items.items():
            if key not in now[kind]:
                found.append('%s %s is gone' % (kind, item.get('name')))
                continue
            old, new = ordered(item), ordered(now[kind][key])
            for field in sorted(set(old) | set(new)):
                if old.get(field) != new.get(field):
                    found.append('%s %s changed: %s was %s and is %s' % (
                        kind, item.get('name'), field, old.get(field), new.get(field)))
    return found


def ordered(value):
    """The same value with its lists sorted: Neutron lists the rules of a group in any order."""
    if isinstance(value, dict):
        return {k: ordered(v) for k, v in value.items()}
    if isinstance(value, list):
        return sorted((ordered(v) for v in value), key=lambda v: json.dumps(v, sort_keys=True))
    return value
