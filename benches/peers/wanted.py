"""What the scripts are to make: the same names and values as manifests/wordpress, and as the manifests that `run` writes
for a fleet."""
import os

HERE = os.path.dirname(os.path.abspath(__file__))
MANIFESTS = os.path.join(HERE, '..', '..', 'manifests', 'wordpress')
DISK = os.path.join(MANIFESTS, 'images', 'ubuntu_server.qcow2')

# The fleet: s0, s1, ..., each with the port p<n> and the volume v<n>.
FLEET = int(os.environ.get('FLEET', '0'))
FLAVOR = os.environ.get('FLEET_FLAVOR', 'm1.tiny')
NETWORK, CIDR, IMAGE = 'fleet', '10.0.0.0/8', 'fleet'


def port_description(index):
    return f'of s{index}'


# WordPress.
DB, BLOG, VOLUME, KEYPAIR = 'AUTO-DEP-DB', 'AUTO-DEP-BLOG', 'mysql-volume', 'jmilkfan-keypair'
GROUP, GROUP_DESCRIPTION = 'auto-dep', 'ssh and http from anywhere, mysql from the subnet'
SUBNET_CIDR = '192.168.50.0/24'
RULES = [('ssh', 22, None), ('http', 80, None), ('mysql', 3306, SUBNET_CIDR)]


def public_key():
    with open(os.path.join(MANIFESTS, 'id_rsa.pub')) as file:
        return file.read().strip()


def user_data(script, **values):
    """The first script of a guest, with its values in place."""
    with open(os.path.join(MANIFESTS, script)) as file:
        text = file.read()
    for key, value in values.items():
        text = text.replace('{{ %s }}' % key, value)
    return text


def db_script():
    return user_data('db.sh', device='/dev/vdb', db_name='blog', db_user='wordpress', db_password='change-me-database')


def blog_script(db_host):
    return user_data('blog.sh', db_host=db_host, db_name='blog', db_user='wordpress', db_password='change-me-database',
                     title='The AUTO-DEP blog', admin_password='change-me-admin')
