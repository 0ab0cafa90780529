"""A careful script by hand, with openstacksdk: one list of each collection, what is missing in bulk or by eight threads,
waiting by lists. It looks at what is there first and makes or repairs the rest, so that it may be run again.

  sdk.py fleet | wordpress
"""
import concurrent.futures
import sys
import time

import openstack

import fleet

cloud = openstack.connect(cloud='bench')


def by_name(items):
    return {item.name: item for item in items}


def in_parallel(function, items):
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        return list(pool.map(function, items))


def wait(look, wanted, is_ready):
    """Lists again until all that are wanted are ready."""
    while True:
        found = by_name(look())
        if all(name in found and is_ready(found[name]) for name in wanted):
            return found
        time.sleep(1)


def network(cidr):
    net = by_name(cloud.network.networks(name=fleet.NETWORK)).get(fleet.NETWORK)
    net = net or cloud.network.create_network(name=fleet.NETWORK)
    subnet = by_name(cloud.network.subnets(network_id=net.id)).get(fleet.NETWORK)
    subnet = subnet or cloud.network.create_subnet(
        name=fleet.NETWORK, network_id=net.id, ip_version=4, cidr=cidr)
    return net, subnet


def image():
    found = by_name(cloud.image.images(name=fleet.IMAGE)).get(fleet.IMAGE)
    if not found:
        found = cloud.image.create_image(name=fleet.IMAGE, disk_format='qcow2', container_format='bare')
        with open(fleet.disk(), 'rb') as file:
            found.data = file
            cloud.image.upload_image(container_format='bare', disk_format='qcow2', id=found.id, name=found.name) \
                if False else cloud.image.put('/images/%s/file' % found.id, data=file,
                                              headers={'Content-Type': 'application/octet-stream'})
    return found


def flavor():
    return by_name(cloud.compute.flavors())[fleet.FLAVOR]


def make_fleet():
    count = fleet.size()
    names = range(count)
    net, _ = network(fleet.CIDR)
    picture, kind = image(), flavor()
    ports = by_name(cloud.network.ports(network_id=net.id))
    missing = [dict(fleet.port(i), network_id=net.id) for i in names if 'p%d' % i not in ports]
    for begin in range(0, len(missing), 100):
        for port in cloud.network.create_ports(missing[begin:begin + 100]):
            ports[port.name] = port
    for index in names:
        wanted = fleet.port(index)
        if ports[wanted['name']].description != wanted['description']:
            cloud.network.update_port(ports[wanted['name']], description=wanted['description'])
    volumes = by_name(cloud.block_storage.volumes())
    missing = ['v%d' % i for i in names if 'v%d' % i not in volumes]
    in_parallel(lambda name: cloud.block_storage.create_volume(name=name, size=1), missing)
    servers = by_name(cloud.compute.servers())
    missing = [i for i in names if 's%d' % i not in servers]
    in_parallel(lambda i: cloud.compute.create_server(
        name='s%d' % i, image_id=picture.id, flavor_id=kind.id, networks=[{'port': ports['p%d' % i].id}]), missing)
    if missing:
        servers = wait(cloud.compute.servers, ['s%d' % i for i in names], lambda it: it.status == 'ACTIVE')
        volumes = wait(cloud.block_storage.volumes, ['v%d' % i for i in names],
                       lambda it: it.status in ('available', 'in-use'))
    loose = [i for i in names if not volumes['v%d' % i].attachments]
    in_parallel(lambda i: cloud.compute.create_volume_attachment(
        servers['s%d' % i], volume_id=volumes['v%d' % i].id), loose)
    if loose:
        wait(cloud.block_storage.volumes, ['v%d' % i for i in loose], lambda it: it.status == 'in-use')


if __name__ == '__main__':
    {'fleet': make_fleet}[sys.argv[1]]()
