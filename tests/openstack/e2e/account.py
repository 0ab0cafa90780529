"""A project and an ordinary user of a test's own, made by the lab's administrator and removed with all that is in it."""
import os
import re

from .checks import until
from .client import Client
from .cloud import Cloud

ADMIN = os.path.join(os.environ['LAB_DIR'], 'clouds.yaml')


class Account:
    """The user `mine` of a clouds.yaml in the work folder: with the openstack client, and as an observer."""

    def __init__(self, work, name):
        self.work, self.name = work, '%s-%d' % (name, os.getpid())
        self.admin = Cloud(ADMIN, 'admin').sdk
        identity = self.admin.identity
        self.project = identity.create_project(name=self.name)
        self.user = identity.create_user(name=self.name, password='secret', default_project_id=self.project.id)
        identity.assign_project_role_to_user(self.project, self.user, identity.find_role('member'))
        self.clouds = os.path.join(work, 'clouds.yaml')
        auth_url = re.search(r'auth_url: (\S+)', open(ADMIN).read()).group(1)
        with open(self.clouds, 'w') as out:
            out.write('clouds: {mine: {auth: {auth_url: %s, username: %s, password: secret, project_name: %s, '
                      'user_domain_name: Default, project_domain_name: Default}, region_name: RegionOne}}\n'
                      % (auth_url, self.name, self.name))
        self.client = Client(self.clouds, 'mine')
        self.cloud = Cloud(self.clouds, 'mine')

    def remove(self):
        """Takes away what is left, and the project."""
        sdk = self.cloud.sdk
        for server in self.cloud.list('server'):
            if server['locked']:
                sdk.compute.unlock_server(server['id'])
            sdk.compute.delete_server(server['id'])
        until('end of the servers', lambda: not self.cloud.list('server'))
        for group in self.cloud.list('server_group'):
            sdk.compute.delete_server_group(group['id'])
        for pair in self.cloud.list('keypair'):
            sdk.compute.delete_keypair(pair['name'])
        for fip in self.cloud.list('floating_ip'):
            sdk.network.delete_ip(fip['id'])
        for trunk in self.cloud.list('trunk'):
            sdk.network.update_trunk(trunk['id'], admin_state_up=True)
            sdk.network.delete_trunk(trunk['id'])
        for router in self.cloud.list('router'):
            sdk.network.update_router(router['id'], routes=[])
            for leg in self.cloud.list('router_interface'):
                sdk.network.remove_interface_from_router(router['id'], port_id=leg['id'])
            sdk.network.delete_router(router['id'])
        for port in self.cloud.list('port'):
            sdk.network.delete_port(port['id'])
        for network in self.cloud.list('network'):
            sdk.network.delete_network(network['id'])
        for scope in self.cloud.list('address_scope'):
            sdk.network.delete_address_scope(scope['id'])
        for snapshot in self.cloud.list('snapshot'):
            sdk.block_storage.delete_snapshot(snapshot['id'])
        until('end of the snapshots', lambda: not self.cloud.list('snapshot'))
        for volume in self.cloud.list('volume'):
            until('the volume to be free', lambda: self.cloud.attachment(volume['id']) is None)
            sdk.block_storage.delete_volume(volume['id'])
        for image in self.cloud.list('image'):
            sdk.image.delete_image(image['id'])
        until('end of the volumes', lambda: not self.cloud.list('volume'))
        for group in self.cloud.list('security_group'):
            if group['name'] != 'default':
                sdk.network.delete_security_group(group['id'])
        # The default group: only an administrator may delete it, and only after the project.
        default = [group['id'] for group in self.cloud.list('security_group')]
        self.admin.identity.delete_user(self.user)
        self.admin.identity.delete_project(self.project)
        for group in default:
            self.admin.network.delete_security_group(group)
