"""The deployment of manifests/wordpress made with openstacksdk instead of stackward.

It tells a fault of the lab, the guest image or the user data from a fault of stackward, and gives the other modules
something to be tried on. It reads the values of the user data from the manifests; the rest is written out here.

usage: python -m e2e.by_hand deploy [IMAGE]|remove
"""
import os
import re
import sys

import yaml

from .checks import until
from .cloud import Cloud, OURS

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), '..', '..', '..'))
MANIFESTS = os.path.join(ROOT, 'manifests', 'wordpress')


def documents():
    """{(kind, name): object} of all manifests."""
    found = {}
    for name in sorted(os.listdir(MANIFESTS)):
        if name.endswith('.yaml'):
            with open(os.path.join(MANIFESTS, name)) as text:
                for one in yaml.safe_load_all(text):
                    found[one['kind'], one['metadata']['name']] = one
    return found


def user_data(server, addresses):
    """The rendered user data of a server; `addresses` stands for the status of the servers before it."""
    objects = documents()
    wanted = objects['Server', server]['spec']['resource']['userData']
    values = {}
    for name, source in wanted['values'].items():
        if 'value' in source:
            values[name] = source['value']
        elif 'secretKeyRef' in source:
            ref = source['secretKeyRef']
            values[name] = objects['Secret', ref['name']]['stringData'][ref['key']]
        elif 'configMapKeyRef' in source:
            ref = source['configMapKeyRef']
            values[name] = objects['ConfigMap', ref['name']]['data'][ref['key']]
        else:
            values[name] = addresses[source['fieldRef']['name']]
    with open(os.path.join(MANIFESTS, wanted['templateFile'])) as text:
        return re.sub(r'\{\{\s*(\w+)\s*\}\}', lambda found: values[found.group(1)], text.read())


def deploy(cloud, image_file):
    """Makes everything; the floating IP's address."""
    sdk = cloud.sdk
    with open(image_file, 'rb') as data:
        image = sdk.image.create_image(name='ubuntu_server', disk_format='qcow2', container_format='bare', min_disk=20,
                                       visibility='private', data=data, validate_checksum=False)
    volume = sdk.block_storage.create_volume(name='mysql-volume', size=5, volume_type='lvmdriver-1',
                                             availability_zone='nova', description='backup volume of mysql server.')
    with open(os.path.join(MANIFESTS, 'id_rsa.pub')) as key:
        sdk.compute.create_keypair(name='jmilkfan-keypair', public_key=key.read().strip())
    public = next(iter(sdk.network.networks(is_router_external=True)))
    network = sdk.network.create_network(name='auto-dep-net')
    subnet = sdk.network.create_subnet(name='auto-dep-subnet', network_id=network.id, ip_version=4, cidr='192.168.50.0/24')
    router = sdk.network.create_router(name='auto-dep-router', external_gateway_info={'network_id': public.id})
    sdk.network.add_interface_to_router(router, subnet_id=subnet.id)
    group = sdk.network.create_security_group(name='auto-dep', description='by hand')
    for port, cidr in ((22, None), (80, None), (3306, '192.168.50.0/24')):
        sdk.network.create_security_group_rule(security_group_id=group.id, direction='ingress', ethertype='IPv4',
                                               protocol='tcp', port_range_min=port, port_range_max=port,
                                               remote_ip_prefix=cidr)
    ports = {name: sdk.network.create_port(name=name, network_id=network.id, security_group_ids=[group.id],
                                           fixed_ips=[{'subnet_id': subnet.id}]) for name in ('db-port', 'blog-port')}
    flavor = next(f for f in sdk.compute.flavors(details=True) if f.disk == 20)
    address = ports['db-port'].fixed_ips[0]['ip_address']
    servers = {}
    for name, port, role in (('auto-dep-db', 'db-port', 'database'), ('auto-dep-blog', 'blog-port', 'blog')):
        script = user_data(name, {'auto-dep-db': address})
        servers[name] = cloud.sdk.create_server(
            name.upper(), image=image.id, flavor=flavor.id, key_name='jmilkfan-keypair', userdata=script,
            nics=[{'port-id': ports[port].id}], meta={'role': role}, wait=True, auto_ip=False, timeout=180)
        if role == 'database':
            until('the volume', lambda: sdk.block_storage.get_volume(volume.id).status == 'available')
            sdk.compute.create_volume_attachment(servers[name].id, volume_id=volume.id, device='/dev/vdb')
    fip = sdk.network.create_ip(floating_network_id=public.id, port_id=ports['blog-port'].id)
    return fip.floating_ip_address


def remove(cloud):
    """Deletes everything that bears the names of the manifests, in reverse order."""
    sdk = cloud.sdk
    mine = {kind: [i for i in cloud.list(kind) if i.get('name') in names] for kind, names in OURS.items()}
    ports = {p['id'] for p in mine['port']}
    for fip in cloud.list('floating_ip'):
        if fip['port_id'] in ports:
            sdk.network.delete_ip(fip['id'])
    for server in mine['server']:
        sdk.compute.delete_server(server['id'])
    until('end of the servers', lambda: not [s for s in cloud.list('server') if s['name'] in OURS['server']])
    for port in mine['port']:
        sdk.network.delete_port(port['id'])
    for router in mine['router']:
        for leg in cloud.list('router_interface'):
            if leg['device_id'] == router['id']:
                sdk.network.remove_interface_from_router(router['id'], port_id=leg['id'])
        sdk.network.delete_router(router['id'])
    for network in mine['network']:
        for port in sdk.network.ports(network_id=network['id']):
            sdk.network.delete_port(port)
        sdk.network.delete_network(network['id'])
    for group in mine['security_group']:
        sdk.network.delete_security_group(group['id'])
    for key in mine['keypair']:
        sdk.compute.delete_keypair(key['name'])
    for volume in mine['volume']:
        until('the volume to be free', lambda: cloud.attachment(volume['id']) is None)
        sdk.block_storage.delete_volume(volume['id'])
    for image in mine['image']:
        sdk.image.delete_image(image['id'])


def main():
    cloud = Cloud(os.path.join(os.environ['LAB_DIR'], 'clouds.yaml'), os.environ.get('OS_CLOUD', 'demo'))
    if sys.argv[1] == 'deploy':
        default = os.path.join(MANIFESTS, 'images', 'ubuntu_server.qcow2')
        print(deploy(cloud, sys.argv[2] if len(sys.argv) > 2 else default))
    else:
        remove(cloud)


if __name__ == '__main__':
    main()
