#!/usr/bin/env python3
"""Records real answers of the lab as test data for the kinds: src/kinds/testdata/*.json and errors/*.json.

Each object is one item of the list that the service gives (compute 2.90, volume 3.59), byte for byte but for the
layout; each error is the request, the status and the body. Run as `tests/openstack/record.py` with the lab up; it
makes everything as user demo (quota refusals as demo2, whose quotas it sets and puts back as admin), names its things
`rec-...`, and deletes them again. It is not a test: the committed files are what the tests read.
"""
import base64
import json
import os
import re
import sys
import time
import urllib.error
import urllib.request
import uuid

LAB = os.environ.get('LAB_DIR', '/tmp/openstack-lab')
HOST = os.environ.get('LAB_HOST', '127.0.0.1')
PASSWORD = os.environ.get('LAB_PASSWORD', 'labsecret')
HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.environ.get('RECORD_DIR', os.path.join(HERE, '..', '..', 'src', 'kinds', 'testdata'))
KEYSTONE = 'http://%s:%s/v3' % (HOST, os.environ.get('LAB_KEYSTONE_PORT', '5000'))
ENDPOINTS = {
    'compute': 'http://%s:%s/v2.1' % (HOST, os.environ.get('LAB_NOVA_PORT', '8774')),
    'volume': 'http://%s:%s/v3' % (HOST, os.environ.get('LAB_CINDER_PORT', '8776')),
    'image': 'http://%s:%s' % (HOST, os.environ.get('LAB_GLANCE_PORT', '9292')),
    'network': 'http://%s:%s' % (HOST, os.environ.get('LAB_NEUTRON_PORT', '9696')),
    'identity': KEYSTONE,
}
VERSION = {'compute': 'compute 2.90', 'volume': 'volume 3.59'}
KEY = ('ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJtXqHbF3yBxD0mSxVyMZXUZlMpfQ0ZbHhT6iQ0uWlXk rec@example')
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Reply:
    """One answer: status, headers and the body, parsed when it is JSON."""

    def __init__(self, status, headers, raw):
        self.status, self.headers = status, headers
        try:
            self.body = json.loads(raw) if raw else None
        except ValueError:
            self.body = raw.decode(errors='replace')


class User:
    """A token and the requests made with it."""

    def __init__(self, name):
        self.token = None
        reply = self.send('POST', 'identity', '/auth/tokens', {'auth': {
            'identity': {'methods': ['password'], 'password': {'user': {
                'name': name, 'domain': {'name': 'Default'}, 'password': PASSWORD}}},
            'scope': {'project': {'name': name, 'domain': {'name': 'Default'}}}}})
        self.token = reply.headers['X-Subject-Token']
        self.project = reply.body['token']['project']['id']

    def send(self, method, service, path, body=None, data=None, headers=None):
        head = {'Accept': 'application/json', **(headers or {})}
        if self.token:
            head['X-Auth-Token'] = self.token
        if service in VERSION:
            head.setdefault('OpenStack-API-Version', VERSION[service])
        if body is not None:
            head.setdefault('Content-Type', 'application/json')
            data = json.dumps(body).encode()
        request = urllib.request.Request(ENDPOINTS[service] + path, data, head, method=method)
        try:
            with opener.open(request, timeout=120) as answer:
                return Reply(answer.status, answer.headers, answer.read())
        except urllib.error.HTTPError as answer:
            return Reply(answer.code, answer.headers, answer.read())

    def ok(self, *args, **kwargs):
        reply = self.send(*args, **kwargs)
        if reply.status >= 300:
            sys.exit('%s: %s %s' % (args, reply.status, reply.body))
        return reply.body


def write(name, value):
    path = os.path.join(OUT, name + '.json')
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'w') as out:
        json.dump(value, out, indent=2, ensure_ascii=False)
        out.write('\n')
    print('recorded', name, flush=True)


def refusal(user, name, method, service, path, body=None, **kwargs):
    """Records the answer to a request that must be refused."""
    reply = user.send(method, service, path, body, **kwargs)
    if reply.status < 300:
        sys.exit('%s was not refused: %s %s' % (name, reply.status, reply.body))
    cut = lambda text: re.sub('(A{40})A+', r'\1...', text)     # the one request that is too long by design
    keep = {k: v for k, v in reply.headers.items() if k.lower() in ('retry-after', 'content-type', 'www-authenticate')}
    answer = {'request': {'service': service, 'method': method, 'path': path, 'body': body},
              'status': reply.status, 'headers': keep, 'body': reply.body}
    write('errors/' + name, json.loads(cut(json.dumps(answer))))


def item(user, service, path, key, want):
    """The item of a list whose id (or name) is `want`."""
    for one in user.ok('GET', service, path)[key]:
        inner = one.get('keypair', one)
        if want in (inner.get('id'), inner.get('name')):
            return one
    sys.exit('%s is not in %s' % (want, path))


def until(what, probe, seconds=90):
    end = time.time() + seconds
    while time.time() < end:
        value = probe()
        if value:
            return value
        time.sleep(0.2)
    sys.exit('waited in vain for ' + what)


class Recording:
    """Everything that is made, in order; `undo` deletes it in reverse."""

    def __init__(self):
        self.demo = User('demo')
        self.undo_list = []

    def made(self, service, path, wait=False, user=None):
        self.undo_list.append((user or self.demo, service, path, wait))

    def undo(self):
        for user, service, path, wait in reversed(self.undo_list):
            until('delete of ' + path, lambda: user.send('DELETE', service, path).status in (200, 202, 204, 404), 60)
            if wait:
                until('end of ' + path, lambda: user.send('GET', service, path).status == 404)
            print('deleted', path, flush=True)

    def make(self, service, path, key, body, wait=False):
        got = self.demo.ok('POST', service, path, {key: body})[key]
        self.made(service, '%s/%s' % (path, got.get('id') or got['name']), wait)
        return got

    def flavor(self):
        write('flavor', item(self.demo, 'compute', '/flavors/detail', 'flavors', 'm1.small'))
        write('flavor-diskless', item(self.demo, 'compute', '/flavors/detail', 'flavors', 'm1.diskless'))

    def image(self):
        d = self.demo
        body = {'name': 'rec-image', 'disk_format': 'qcow2', 'container_format': 'bare', 'min_disk': 20,
                'visibility': 'private', 'stackward_uid': '7f1c0c6e-6f0c-5d0e-9d53-0a52a5a3e3c1',
                'id': str(uuid.uuid4())}
        octets = {'Content-Type': 'application/octet-stream'}
        self.image_refused(body, octets)
        body['id'] = str(uuid.uuid4())
        image = d.ok('POST', 'image', '/v2/images', body)
        self.made('image', '/v2/images/' + image['id'], True)
        refusal(d, 'image-id-taken', 'POST', 'image', '/v2/images', body)
        write('image-queued', item(d, 'image', '/v2/images', 'images', image['id']))
        from_file = os.path.join(HERE, '..', '..', 'manifests', 'wordpress', 'images', 'ubuntu_server.qcow2')
        with open(from_file, 'rb') as data:
            d.ok('PUT', 'image', '/v2/images/%s/file' % image['id'], data=data.read(), headers=octets)
        until('image', lambda: item(d, 'image', '/v2/images', 'images', image['id'])['status'] == 'active')
        write('image', item(d, 'image', '/v2/images', 'images', image['id']))
        refusal(d, 'image-upload-twice', 'PUT', 'image', '/v2/images/%s/file' % image['id'], data=b'again', headers=octets)
        refusal(d, 'image-public-as-member', 'POST', 'image', '/v2/images', {'name': 'rec-x', 'visibility': 'public'})
        patch = {'Content-Type': 'application/openstack-images-v2.1-json-patch'}
        refusal(d, 'image-patch-public-as-member', 'PATCH', 'image', '/v2/images/' + image['id'],
                [{'op': 'replace', 'path': '/visibility', 'value': 'public'}], headers=patch)
        refusal(d, 'image-patch-read-only', 'PATCH', 'image', '/v2/images/' + image['id'],
                [{'op': 'replace', 'path': '/disk_format', 'value': 'raw'}], headers=patch)
        refusal(d, 'image-not-found', 'GET', 'image', '/v2/images/00000000-0000-0000-0000-000000000000')
        return image

    def image_refused(self, body, octets):
        """A refused upload leaves an image that looks queued, but a second upload to it fails with 500, since the
        refused data is still in the store; and the id of a deleted image cannot be used again."""
        d = self.demo
        d.ok('POST', 'image', '/v2/images', body)
        path = '/v2/images/' + body['id']
        refusal(d, 'image-content-not-of-its-format', 'PUT', 'image', path + '/file', data=b'no qcow2' * 9000, headers=octets)
        write('image-after-refused-upload', item(d, 'image', '/v2/images', 'images', body['id']))
        refusal(d, 'image-upload-after-refused-upload', 'PUT', 'image', path + '/file', data=b'no qcow2' * 9000, headers=octets)
        d.ok('DELETE', 'image', path)
        refusal(d, 'image-id-of-a-deleted-image', 'POST', 'image', '/v2/images', body)

    def keypair(self):
        body = {'name': 'rec-keypair', 'public_key': KEY, 'type': 'ssh'}
        self.make('compute', '/os-keypairs', 'keypair', body)
        write('keypair', item(self.demo, 'compute', '/os-keypairs', 'keypairs', 'rec-keypair'))
        refusal(self.demo, 'keypair-exists', 'POST', 'compute', '/os-keypairs', {'keypair': body})
        refusal(self.demo, 'keypair-bad-key', 'POST', 'compute', '/os-keypairs',
                {'keypair': {'name': 'rec-bad', 'public_key': 'ssh-rsa nonsense', 'type': 'ssh'}})
        refusal(self.demo, 'keypair-not-found', 'GET', 'compute', '/os-keypairs/rec-nobody')

    def volume(self):
        d = self.demo
        body = {'name': 'rec-volume', 'size': 5, 'volume_type': 'lvmdriver-1', 'availability_zone': 'nova',
                'description': 'backup volume of mysql server.', 'metadata': {'role': 'database'}}
        answer = d.ok('POST', 'volume', '/%s/volumes' % d.project, {'volume': body})
        write('volume-create-reply', answer)
        volume = answer['volume']
        write('volume-creating', item(d, 'volume', '/%s/volumes/detail' % d.project, 'volumes', volume['id']))
        path = '/%s/volumes/%s' % (d.project, volume['id'])
        self.made('volume', path, True)
        until('volume', lambda: d.ok('GET', 'volume', path)['volume']['status'] == 'available')
        write('volume', item(d, 'volume', '/%s/volumes/detail' % d.project, 'volumes', volume['id']))
        for name, change in (('type-unknown', {'volume_type': 'rec-none'}), ('zone-unknown', {'availability_zone': 'moon'}),
                             ('size-zero', {'size': 0})):
            refusal(d, 'volume-' + name, 'POST', 'volume', '/%s/volumes' % d.project, {'volume': {**body, **change}})
        refusal(d, 'volume-shrink', 'POST', 'volume', path + '/action', {'os-extend': {'new_size': 4}})
        refusal(d, 'volume-not-found', 'GET', 'volume', '/%s/volumes/00000000-0000-0000-0000-000000000000' % d.project)
        return volume, path

    def network(self):
        d = self.demo
        make = self.make
        public = item(d, 'network', '/v2.0/networks?name=public', 'networks', 'public')
        write('network-external', public)
        net = make('network', '/v2.0/networks', 'network', {'name': 'rec-network', 'description': 'of the recording'})
        sub_body = {'name': 'rec-subnet', 'network_id': net['id'], 'ip_version': 4, 'cidr': '192.168.50.0/24',
                    'dns_nameservers': ['192.168.50.2'], 'description': ''}
        sub = make('network', '/v2.0/subnets', 'subnet', sub_body)
        router = make('network', '/v2.0/routers', 'router', {
            'name': 'rec-router', 'external_gateway_info': {'network_id': public['id']}})
        group = make('network', '/v2.0/security-groups', 'security_group', {
            'name': 'rec-group', 'description': 'ssh, http and mysql'})
        for port, cidr in ((22, None), (80, '0.0.0.0/0'), (3306, '192.168.50.0/24')):
            rule = {'security_group_id': group['id'], 'direction': 'ingress', 'ethertype': 'IPv4', 'protocol': 'tcp',
                    'port_range_min': port, 'port_range_max': port, 'remote_ip_prefix': cidr}
            d.ok('POST', 'network', '/v2.0/security-group-rules', {'security_group_rule': rule})
        refusal(d, 'security-group-rule-exists', 'POST', 'network', '/v2.0/security-group-rules', {
            'security_group_rule': rule})
        write('security-group', item(d, 'network', '/v2.0/security-groups', 'security_groups', group['id']))
        port = make('network', '/v2.0/ports', 'port', {
            'name': 'rec-port', 'network_id': net['id'], 'security_groups': [group['id']],
            'fixed_ips': [{'subnet_id': sub['id'], 'ip_address': '192.168.50.10'}]})
        write('port', item(d, 'network', '/v2.0/ports', 'ports', port['id']))
        fip = make('network', '/v2.0/floatingips', 'floatingip', {
            'floating_network_id': public['id'], 'description': 'address of the blog'})
        write('floating-ip', item(d, 'network', '/v2.0/floatingips', 'floatingips', fip['id']))
        refusal(d, 'floating-ip-without-route', 'PUT', 'network', '/v2.0/floatingips/' + fip['id'], {
            'floatingip': {'port_id': port['id']}})
        d.ok('PUT', 'network', '/v2.0/routers/%s/add_router_interface' % router['id'], {'subnet_id': sub['id']})
        refusal(d, 'router-interface-exists', 'PUT', 'network', '/v2.0/routers/%s/add_router_interface' % router['id'], {
            'subnet_id': sub['id']})
        self.before_undo = lambda: d.ok('PUT', 'network', '/v2.0/routers/%s/remove_router_interface' % router['id'], {
            'subnet_id': sub['id']})
        time.sleep(1)
        leg = [p for p in d.ok('GET', 'network', '/v2.0/ports?device_id=' + router['id'])['ports']
               if p['device_owner'] == 'network:router_interface'][0]
        write('router-interface', leg)
        write('network', item(d, 'network', '/v2.0/networks', 'networks', net['id']))
        write('subnet', item(d, 'network', '/v2.0/subnets', 'subnets', sub['id']))
        write('router', item(d, 'network', '/v2.0/routers', 'routers', router['id']))
        n = 'network'
        refusal(d, 'subnet-overlaps', 'POST', n, '/v2.0/subnets', {'subnet': sub_body})
        refusal(d, 'subnet-in-use', 'DELETE', n, '/v2.0/subnets/' + sub['id'])
        refusal(d, 'network-in-use', 'DELETE', n, '/v2.0/networks/' + net['id'])
        refusal(d, 'router-in-use', 'DELETE', n, '/v2.0/routers/' + router['id'])
        refusal(d, 'router-port-delete', 'DELETE', n, '/v2.0/ports/' + leg['id'])
        refusal(d, 'security-group-in-use', 'DELETE', n, '/v2.0/security-groups/' + group['id'])
        refusal(d, 'port-address-taken', 'POST', n, '/v2.0/ports', {'port': {
            'network_id': net['id'], 'fixed_ips': [{'subnet_id': sub['id'], 'ip_address': '192.168.50.10'}]}})
        for what in ('network', 'subnet', 'port', 'router', 'security-group', 'floatingip'):
            refusal(d, {'floatingip': 'floating-ip'}.get(what, what) + '-not-found', 'GET', n,
                    '/v2.0/%ss/00000000-0000-0000-0000-000000000000' % what)
        refusal(d, 'router-gateway-not-external', 'POST', n, '/v2.0/routers', {'router': {
            'name': 'rec-x', 'external_gateway_info': {'network_id': net['id']}}})
        return net, port, fip, group

    def server(self, image, volume, volume_path, net, port, fip):
        d = self.demo
        flavor = item(d, 'compute', '/flavors/detail', 'flavors', 'm1.small')
        body = {'name': 'REC-SERVER', 'imageRef': image['id'], 'flavorRef': flavor['id'], 'key_name': 'rec-keypair',
                'networks': [{'port': port['id']}], 'metadata': {'role': 'database'},
                'user_data': base64.b64encode(b'#!/bin/sh\ntrue\n').decode(), 'config_drive': True}
        answer = d.ok('POST', 'compute', '/servers', {'server': body})
        server = answer['server']
        build = item(d, 'compute', '/servers/detail', 'servers', server['id'])
        if build['status'] != 'BUILD':
            sys.exit('too late to see BUILD')
        write('server-build', build)
        answer['server']['adminPass'] = 'not-the-real-one'
        write('server-create-reply', answer)
        path = '/servers/' + server['id']
        self.made('compute', path, True)
        show = lambda: item(d, 'compute', '/servers/detail', 'servers', server['id'])
        until('server', lambda: show()['status'] == 'ACTIVE')
        attach = {'volumeAttachment': {'volumeId': volume['id'], 'device': '/dev/vdb'}}
        write('server-attach-reply', d.ok('POST', 'compute', path + '/os-volume_attachments', attach))
        in_use = lambda: item(d, 'volume', '/%s/volumes/detail' % d.project, 'volumes', volume['id'])
        until('attachment', lambda: in_use()['status'] == 'in-use')
        write('volume-in-use', in_use())
        write('server-volume-attachments', d.ok('GET', 'compute', path + '/os-volume_attachments'))
        refusal(d, 'volume-attach-twice', 'POST', 'compute', path + '/os-volume_attachments', attach)
        refusal(d, 'volume-delete-in-use', 'DELETE', 'volume', volume_path)
        refusal(d, 'volume-detach-in-cinder', 'DELETE', 'volume', '/%s/attachments/%s' % (
            d.project, in_use()['attachments'][0]['attachment_id']))
        other = d.ok('POST', 'volume', '/%s/volumes' % d.project, {'volume': {'name': 'rec-other', 'size': 1}})['volume']
        self.undo_list.insert(0, (d, 'volume', '/%s/volumes/%s' % (d.project, other['id']), True))
        until('volume', lambda: d.ok('GET', 'volume', '/%s/volumes/%s' % (d.project, other['id']))[
            'volume']['status'] == 'available')
        refusal(d, 'volume-attach-device-taken', 'POST', 'compute', path + '/os-volume_attachments', {
            'volumeAttachment': {'volumeId': other['id'], 'device': '/dev/vdb'}})
        d.ok('PUT', 'network', '/v2.0/floatingips/' + fip['id'], {'floatingip': {'port_id': port['id']}})
        address = lambda: item(d, 'network', '/v2.0/floatingips', 'floatingips', fip['id'])
        until('floating ip', lambda: address()['status'] == 'ACTIVE')
        write('floating-ip-associated', address())
        write('port-bound', item(d, 'network', '/v2.0/ports', 'ports', port['id']))
        until('address', lambda: len(show()['addresses']['rec-network']) == 2)
        write('server', show())
        write('server-interfaces', d.ok('GET', 'compute', path + '/os-interface'))
        extra = d.ok('POST', 'network', '/v2.0/floatingips', {'floatingip': {
            'floating_network_id': fip['floating_network_id']}})['floatingip']
        refusal(d, 'floating-ip-port-taken', 'PUT', 'network', '/v2.0/floatingips/' + extra['id'], {
            'floatingip': {'port_id': port['id'], 'fixed_ip_address': '192.168.50.10'}})
        d.ok('DELETE', 'network', '/v2.0/floatingips/' + extra['id'])
        self.server_refusals(body, path, port)
        d.ok('POST', 'compute', path + '/action', {'os-stop': None})
        until('stop', lambda: show()['status'] == 'SHUTOFF')
        write('server-shutoff', show())

    def server_refusals(self, body, path, port):
        d = self.demo
        nil = '00000000-0000-0000-0000-000000000000'
        changes = {
            'port-in-use': {}, 'image-unknown': {'imageRef': nil}, 'flavor-unknown': {'flavorRef': nil},
            'flavor-disk-too-small': {'flavorRef': '1'}, 'keypair-unknown': {'key_name': 'rec-nobody'},
            'port-unknown': {'networks': [{'port': nil}]}, 'network-unknown': {'networks': [{'uuid': nil}]},
            'user-data-too-long': {'user_data': 'A' * 65536}, 'user-data-not-base64': {'user_data': 'A'},
            'unknown-field': {'colour': 'red'},
            'volume-unknown': {'block_device_mapping_v2': [
                {'uuid': body['imageRef'], 'source_type': 'image', 'destination_type': 'local', 'boot_index': 0},
                {'uuid': nil, 'source_type': 'volume', 'destination_type': 'volume', 'boot_index': -1}]},
        }
        for name, change in changes.items():
            where = {} if name == 'port-in-use' else {'networks': [{'uuid': port['network_id']}]}
            sent = {'server': {**body, 'name': 'rec-refused', **where, **change}}
            refusal(d, 'server-' + name, 'POST', 'compute', '/servers', sent)
        without = {k: v for k, v in body.items() if k != 'networks'}
        refusal(d, 'server-networks-missing', 'POST', 'compute', '/servers', {'server': {**without, 'name': 'rec-refused'}})
        refusal(d, 'server-networks-ambiguous', 'POST', 'compute', '/servers',
                {'server': {**without, 'name': 'rec-refused', 'networks': 'auto'}})
        refusal(d, 'server-start-while-active', 'POST', 'compute', path + '/action', {'os-start': None})
        refusal(d, 'server-not-found', 'GET', 'compute', '/servers/' + nil)
        refusal(d, 'server-detach-not-attached', 'DELETE', 'compute', path + '/os-volume_attachments/' + nil)
        refusal(d, 'port-delete-not-found', 'DELETE', 'network', '/v2.0/ports/' + nil)
        refusal(d, 'microversion-unsupported', 'GET', 'compute', '/servers', headers={
            'OpenStack-API-Version': 'compute 2.999'})

    def server_error(self, image, net):
        admin = User('admin')
        flavor = admin.ok('POST', 'compute', '/flavors', {'flavor': {
            'id': 'rec-huge', 'name': 'rec-huge', 'ram': 2048, 'disk': 20, 'vcpus': 900000}})['flavor']
        self.made('compute', '/flavors/' + flavor['id'], user=admin)
        server = self.make('compute', '/servers', 'server', {
            'name': 'REC-ERROR', 'imageRef': image['id'], 'flavorRef': flavor['id'], 'networks': [{'uuid': net['id']}]}, True)
        show = lambda: item(self.demo, 'compute', '/servers/detail', 'servers', server['id'])
        until('error', lambda: show()['status'] == 'ERROR' and 'fault' in show())
        write('server-error', show())
        refusal(self.demo, 'server-attach-in-error', 'POST', 'compute', '/servers/%s/os-volume_attachments' % server['id'], {
            'volumeAttachment': {'volumeId': self.volume_id, 'device': '/dev/vdb'}})

    def quotas(self, image):
        admin, user = User('admin'), User('demo2')
        project = user.project
        nova, cinder, neutron = ('/os-quota-sets/' + project, '/%s/os-quota-sets/%s' % (admin.project, project),
                                 '/v2.0/quotas/' + project)
        old = {k: v for k, v in admin.ok('GET', 'compute', nova)['quota_set'].items() if k in ('cores', 'instances', 'key_pairs')}
        old_cinder = admin.ok('GET', 'volume', cinder)['quota_set']
        try:
            admin.ok('PUT', 'compute', nova, {'quota_set': {'instances': 0, 'cores': 0, 'key_pairs': 0}})
            admin.ok('PUT', 'volume', cinder, {'quota_set': {'volumes': 0, 'gigabytes': 0}})
            public = item(user, 'network', '/v2.0/networks?name=public', 'networks', 'public')
            shared = item(user, 'network', '/v2.0/networks?name=shared', 'networks', 'shared')
            refusal(user, 'quota-volume', 'POST', 'volume', '/%s/volumes' % project, {'volume': {'name': 'rec-x', 'size': 1}})
            refusal(user, 'quota-server', 'POST', 'compute', '/servers', {'server': {
                'name': 'rec-x', 'imageRef': '', 'flavorRef': '7', 'networks': [{'uuid': shared['id']}],
                'block_device_mapping_v2': [{'source_type': 'blank', 'destination_type': 'volume', 'volume_size': 1,
                                             'boot_index': 0}]}})
            refusal(user, 'quota-keypair', 'POST', 'compute', '/os-keypairs', {'keypair': {
                'name': 'rec-x', 'public_key': KEY, 'type': 'ssh'}})
            admin.ok('PUT', 'network', neutron, {'quota': {
                'network': 0, 'port': 0, 'floatingip': 0, 'router': 0, 'security_group': 0, 'subnet': 0}})
            refusal(user, 'quota-network', 'POST', 'network', '/v2.0/networks', {'network': {'name': 'rec-x'}})
            refusal(user, 'quota-port', 'POST', 'network', '/v2.0/ports', {'port': {'network_id': shared['id']}})
            refusal(user, 'quota-floating-ip', 'POST', 'network', '/v2.0/floatingips', {'floatingip': {
                'floating_network_id': public['id']}})
            refusal(user, 'quota-security-group', 'POST', 'network', '/v2.0/security-groups', {'security_group': {
                'name': 'rec-x'}})
        finally:
            admin.ok('PUT', 'compute', nova, {'quota_set': old})
            admin.ok('PUT', 'volume', cinder, {'quota_set': {k: old_cinder[k] for k in ('volumes', 'gigabytes')}})
            admin.send('DELETE', 'network', neutron)
        nobody = User('demo')
        nobody.token = 'gAAAAA-not-a-token'
        for service, path in (('compute', '/servers'), ('volume', '/%s/volumes' % project), ('image', '/v2/images'),
                              ('network', '/v2.0/ports'), ('identity', '/auth/catalog')):
            refusal(nobody, 'token-refused-' + service, 'GET', service, path)
        nobody.token = None
        refusal(nobody, 'login-refused', 'POST', 'identity', '/auth/tokens', {'auth': {
            'identity': {'methods': ['password'], 'password': {'user': {
                'name': 'demo', 'domain': {'name': 'Default'}, 'password': 'wrong'}}},
            'scope': {'project': {'name': 'demo', 'domain': {'name': 'Default'}}}}})

    def run(self):
        self.before_undo = lambda: None
        try:
            self.flavor()
            image = self.image()
            self.keypair()
            volume, volume_path = self.volume()
            self.volume_id = volume['id']
            net, port, fip, _ = self.network()
            self.server_error(image, net)
            self.server(image, volume, volume_path, net, port, fip)
            self.quotas(image)
        finally:
            servers = [u for u in self.undo_list if u[2].startswith('/servers/')]
            rest = [u for u in self.undo_list if not u[2].startswith('/servers/')]
            self.undo_list = servers                   # a server holds its port, image and volume
            self.undo()
            for user, service, path, _ in [u for u in rest if '/floatingips/' in u[2]]:
                user.send('DELETE', service, path)
            self.before_undo()
            self.undo_list = rest
            self.undo()


Recording().run()
