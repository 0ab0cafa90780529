"""A script in the style of the article that this project began with: the projects' own Python clients, one thing after
the other, each looked up by its name and asked for with GETs until it is ready.

What bears the name is taken as it is, as the article does; so it can be run again, and repairs nothing.
Otherwise than the article: names are filtered by the service, a wait looks every second (not every 3 s) and at the
state, Nova attaches the volume (Cinder's own action only notes it), and there is a network.

    article.py fleet | wordpress        (the cloud is OS_CLOUD)
"""
import sys
import time

import cinderclient.client
import glanceclient
import novaclient.client
import openstack.config
from neutronclient.v2_0 import client as neutronclient

import wanted


class Deployment:
    def __init__(self):
        region = openstack.config.OpenStackConfig().get_one()
        session = region.get_session()
        self.glance = glanceclient.Client('2', session=session)
        self.nova = novaclient.client.Client('2', session=session)
        self.cinder = cinderclient.client.Client('3', session=session)
        self.neutron = neutronclient.Client(session=session)

    def wait(self, get, *ready):
        while True:
            found = get()
            if found.status in ready:
                return found
            if found.status.lower() == 'error':
                sys.exit(f'{found.name} is in ERROR')
            time.sleep(1)

    def of_neutron(self, kind, name, **fields):
        """The network, subnet, port ... of this name; made if there is none."""
        found = getattr(self.neutron, f'list_{kind}s')(name=name)[f'{kind}s']
        if found:
            return found[0]
        return getattr(self.neutron, f'create_{kind}')({kind: {'name': name, **fields}})[kind]

    def image(self, name):
        for image in self.glance.images.list(filters={'name': name}):
            return image
        image = self.glance.images.create(name=name, disk_format='qcow2', container_format='bare')
        with open(wanted.DISK, 'rb') as file:
            self.glance.images.upload(image.id, file)
        return self.wait(lambda: self.glance.images.get(image.id), 'active')

    def volume(self, name, **fields):
        for volume in self.cinder.volumes.list(search_opts={'name': name}):
            return volume
        volume = self.cinder.volumes.create(name=name, **fields)
        return self.wait(lambda: self.cinder.volumes.get(volume.id), 'available', 'in-use')

    def server(self, name, **fields):
        # Nova takes the name as an expression.
        for server in self.nova.servers.list(search_opts={'name': f'^{name}$'}):
            return server
        server = self.nova.servers.create(name, **fields)
        return self.wait(lambda: self.nova.servers.get(server.id), 'ACTIVE')

    def attach(self, server, volume, device=None):
        if volume.attachments:
            return
        self.nova.volumes.create_server_volume(server.id, volume.id, device)
        self.wait(lambda: self.cinder.volumes.get(volume.id), 'in-use')

    def flavor(self, is_wanted):
        return next(flavor for flavor in self.nova.flavors.list() if is_wanted(flavor))

    def fleet(self):
        net = self.of_neutron('network', wanted.NETWORK)
        self.of_neutron('subnet', wanted.NETWORK, network_id=net['id'], ip_version=4, cidr=wanted.CIDR)
        image = self.image(wanted.IMAGE)
        flavor = self.flavor(lambda it: it.name == wanted.FLAVOR)
        for i in range(wanted.FLEET):
            port = self.of_neutron('port', f'p{i}', network_id=net['id'], description=wanted.port_description(i))
            volume = self.volume(f'v{i}', size=1)
            server = self.server(f's{i}', image=image.id, flavor=flavor.id, nics=[{'port-id': port['id']}])
            self.attach(server, volume)

    def security_group(self):
        group = self.of_neutron('security_group', wanted.GROUP, description=wanted.GROUP_DESCRIPTION)
        for name, port, prefix in wanted.RULES:
            if any(rule['port_range_min'] == port for rule in group['security_group_rules']):
                continue
            self.neutron.create_security_group_rule({'security_group_rule': {
                'security_group_id': group['id'], 'description': name, 'direction': 'ingress', 'ethertype': 'IPv4',
                'protocol': 'tcp', 'port_range_min': port, 'port_range_max': port, 'remote_ip_prefix': prefix}})
        return group

    def router(self, subnet, public):
        router = self.of_neutron('router', 'auto-dep-router', external_gateway_info={'network_id': public['id']})
        ports = self.neutron.list_ports(device_id=router['id'])['ports']
        if not any(ip['subnet_id'] == subnet['id'] for port in ports for ip in port['fixed_ips']):
            self.neutron.add_interface_router(router['id'], {'subnet_id': subnet['id']})

    def wordpress(self):
        image = self.image('ubuntu_server')
        volume = self.volume(wanted.VOLUME, size=5, volume_type='lvmdriver-1', availability_zone='nova',
                             description='backup volume of mysql server.')
        net = self.of_neutron('network', 'auto-dep-net', description='network of the blog and its database')
        subnet = self.of_neutron('subnet', 'auto-dep-subnet', network_id=net['id'], ip_version=4,
                                 cidr=wanted.SUBNET_CIDR)
        public = self.neutron.list_networks(**{'router:external': True})['networks'][0]
        self.router(subnet, public)
        group = self.security_group()
        db_port, blog_port = (self.of_neutron(
            'port', name, network_id=net['id'], security_groups=[group['id']], fixed_ips=[{'subnet_id': subnet['id']}])
            for name in ('db-port', 'blog-port'))
        flavor = self.flavor(lambda it: it.disk == 20)
        if not any(keypair.name == wanted.KEYPAIR for keypair in self.nova.keypairs.list()):
            self.nova.keypairs.create(wanted.KEYPAIR, public_key=wanted.public_key())
        db = self.server(wanted.DB, image=image.id, flavor=flavor.id, nics=[{'port-id': db_port['id']}],
                         key_name=wanted.KEYPAIR, meta={'role': 'database'}, userdata=wanted.db_script())
        self.attach(db, volume, '/dev/vdb')
        address = self.nova.servers.get(db.id).networks['auto-dep-net'][0]
        self.server(wanted.BLOG, image=image.id, flavor=flavor.id, nics=[{'port-id': blog_port['id']}],
                    key_name=wanted.KEYPAIR, meta={'role': 'blog'}, userdata=wanted.blog_script(address))
        if not self.neutron.list_floatingips(port_id=blog_port['id'])['floatingips']:
            self.neutron.create_floatingip({'floatingip': {
                'floating_network_id': public['id'], 'port_id': blog_port['id'], 'description': 'address of the blog'}})


if __name__ == '__main__':
    deployment = Deployment()
    {'fleet': deployment.fleet, 'wordpress': deployment.wordpress}[sys.argv[1]]()
