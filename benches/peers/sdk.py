"""A careful script by hand, with openstacksdk: one list of each collection, what is missing in bulk or by eight threads,
waiting by lists. It looks at what is there first and makes or repairs the rest, so that it may be run again.

    sdk.py fleet | wordpress        (the cloud is OS_CLOUD)
"""
import base64
import concurrent.futures
import sys
import time

import openstack

import wanted

cloud = openstack.connect()


def by_name(items):
    return {item.name: item for item in items}


def in_parallel(function, items):
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        return list(pool.map(function, items))


def wait(look, names, is_ready):
    """Lists again until all of these are ready."""
    while True:
        found = by_name(look())
        if all(name in found and is_ready(found[name]) for name in names):
            return found
        if any(name in found and found[name].status in ('ERROR', 'error') for name in names):
            sys.exit('one of them is in ERROR')
        time.sleep(1)


def is_active(server):
    return server.status == 'ACTIVE'


def network(name, subnet_name, cidr, description=''):
    net = by_name(cloud.network.networks(name=name)).get(name)
    net = net or cloud.network.create_network(name=name, description=description)
    subnet = by_name(cloud.network.subnets(network_id=net.id)).get(subnet_name)
    subnet = subnet or cloud.network.create_subnet(name=subnet_name, network_id=net.id, ip_version=4, cidr=cidr)
    return net, subnet


def image(name):
    found = by_name(cloud.image.images(name=name)).get(name)
    # There is none of this name: the library need not look for it.
    return found or cloud.image.create_image(
        name, filename=wanted.DISK, disk_format='qcow2', container_format='bare', allow_duplicates=True)


def fleet():
    names = range(wanted.FLEET)
    net, _ = network(wanted.NETWORK, wanted.NETWORK, wanted.CIDR)
    picture = image(wanted.IMAGE)
    flavor = by_name(cloud.compute.flavors())[wanted.FLAVOR]

    ports = by_name(cloud.network.ports(network_id=net.id))
    missing = [{'name': f'p{i}', 'description': wanted.port_description(i), 'network_id': net.id}
               for i in names if f'p{i}' not in ports]
    for begin in range(0, len(missing), 100):
        ports.update(by_name(cloud.network.create_ports(missing[begin:begin + 100])))
    other = [i for i in names if ports[f'p{i}'].description != wanted.port_description(i)]
    in_parallel(lambda i: cloud.network.update_port(
        ports[f'p{i}'], description=wanted.port_description(i)), other)

    volumes = by_name(cloud.block_storage.volumes())
    missing_volumes = [f'v{i}' for i in names if f'v{i}' not in volumes]
    in_parallel(lambda name: cloud.block_storage.create_volume(name=name, size=1), missing_volumes)

    servers = by_name(cloud.compute.servers())
    missing = [i for i in names if f's{i}' not in servers]
    in_parallel(lambda i: cloud.compute.create_server(
        name=f's{i}', image_id=picture.id, flavor_id=flavor.id, networks=[{'port': ports[f'p{i}'].id}]), missing)
    if not all(f's{i}' in servers and is_active(servers[f's{i}']) for i in names):
        servers = wait(cloud.compute.servers, [f's{i}' for i in names], is_active)
    if missing_volumes:
        volumes = wait(cloud.block_storage.volumes, [f'v{i}' for i in names],
                       lambda it: it.status in ('available', 'in-use'))

    loose = [i for i in names if not volumes[f'v{i}'].attachments]
    in_parallel(lambda i: cloud.compute.create_volume_attachment(
        servers[f's{i}'], volume_id=volumes[f'v{i}'].id), loose)
    if loose:
        wait(cloud.block_storage.volumes, [f'v{i}' for i in loose], lambda it: it.status == 'in-use')


def security_group(cidr):
    group = by_name(cloud.network.security_groups(name=wanted.GROUP)).get(wanted.GROUP)
    if not group:
        group = cloud.network.create_security_group(name=wanted.GROUP, description=wanted.GROUP_DESCRIPTION)
    if group.description != wanted.GROUP_DESCRIPTION:
        group = cloud.network.update_security_group(group, description=wanted.GROUP_DESCRIPTION)
    there = {(rule['port_range_min'], rule['remote_ip_prefix']) for rule in group.security_group_rules}
    missing = [{'security_group_id': group.id, 'description': name, 'direction': 'ingress', 'ethertype': 'IPv4',
                'protocol': 'tcp', 'port_range_min': port, 'port_range_max': port, 'remote_ip_prefix': prefix}
               for name, port, prefix in wanted.RULES if (port, prefix) not in there]
    if missing:
        list(cloud.network.create_security_group_rules(missing))
    return group


def router(subnet, public):
    found = by_name(cloud.network.routers(name='auto-dep-router')).get('auto-dep-router')
    found = found or cloud.network.create_router(
        name='auto-dep-router', external_gateway_info={'network_id': public.id})
    ports = list(cloud.network.ports(device_id=found.id))
    if not any(ip['subnet_id'] == subnet.id for port in ports for ip in port.fixed_ips):
        cloud.network.add_interface_to_router(found, subnet_id=subnet.id)


def wordpress():
    net, subnet = network('auto-dep-net', 'auto-dep-subnet', wanted.SUBNET_CIDR,
                          'network of the blog and its database')
    group = security_group(wanted.SUBNET_CIDR)
    public = next(cloud.network.networks(is_router_external=True))
    router(subnet, public)
    ports = by_name(cloud.network.ports(network_id=net.id))
    missing = [{'name': name, 'network_id': net.id, 'security_group_ids': [group.id],
                'fixed_ips': [{'subnet_id': subnet.id}]} for name in ('db-port', 'blog-port') if name not in ports]
    if missing:
        ports.update(by_name(cloud.network.create_ports(missing)))
    if not any(it.port_id == ports['blog-port'].id for it in cloud.network.ips()):
        cloud.network.create_ip(floating_network_id=public.id, port_id=ports['blog-port'].id,
                                description='address of the blog')

    picture = image('ubuntu_server')
    flavor = next(it for it in cloud.compute.flavors() if it.disk == 20)
    if wanted.KEYPAIR not in by_name(cloud.compute.keypairs()):
        cloud.compute.create_keypair(name=wanted.KEYPAIR, public_key=wanted.public_key())
    volumes = by_name(cloud.block_storage.volumes())
    if wanted.VOLUME not in volumes:
        cloud.block_storage.create_volume(
            name=wanted.VOLUME, size=5, volume_type='lvmdriver-1', availability_zone='nova',
            description='backup volume of mysql server.')

    servers = by_name(cloud.compute.servers())
    # The port has the address before there is a server at it: both servers can be made at once.
    address = ports['db-port'].fixed_ips[0]['ip_address']
    plan = [(wanted.DB, 'db-port', 'database', wanted.db_script()),
            (wanted.BLOG, 'blog-port', 'blog', wanted.blog_script(address))]
    in_parallel(lambda it: cloud.compute.create_server(
        name=it[0], image_id=picture.id, flavor_id=flavor.id, networks=[{'port': ports[it[1]].id}],
        key_name=wanted.KEYPAIR, metadata={'role': it[2]}, user_data=base64.b64encode(it[3].encode()).decode()),
        [it for it in plan if it[0] not in servers])
    if not all(name in servers and is_active(servers[name]) for name in (wanted.DB, wanted.BLOG)):
        servers = wait(cloud.compute.servers, [wanted.DB, wanted.BLOG], is_active)
    if wanted.VOLUME not in volumes:
        volumes = wait(cloud.block_storage.volumes, [wanted.VOLUME], lambda it: it.status in ('available', 'in-use'))
    if not volumes[wanted.VOLUME].attachments:
        cloud.compute.create_volume_attachment(
            servers[wanted.DB], volume_id=volumes[wanted.VOLUME].id, device='/dev/vdb')
        wait(cloud.block_storage.volumes, [wanted.VOLUME], lambda it: it.status == 'in-use')


if __name__ == '__main__':
    {'fleet': fleet, 'wordpress': wordpress}[sys.argv[1]]()
