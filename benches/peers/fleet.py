"""What the peers are to make: the same names and values as the manifests that run writes for stackward."""
import base64
import os

NETWORK, CIDR, IMAGE, FLAVOR = 'net', '10.0.0.0/8', 'base', 'm1.tiny'
MANIFESTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'manifests', 'wordpress')


def disk():
    """The image's file."""
    return os.path.join(MANIFESTS, 'images', 'ubuntu_server.qcow2')


def size():
    return int(os.environ['FLEET'])


def port(index):
    return {'name': 'p%d' % index, 'description': 'of s%d' % index}


def user_data(name, **values):
    """The guest's first script, with its values in place."""
    text = open(os.path.join(MANIFESTS, name + '.sh')).read()
    for key, value in values.items():
        text = text.replace('{{ %s }}' % key, value)
    return base64.b64encode(text.encode()).decode()


def public_key():
    return open(os.path.join(MANIFESTS, 'id_rsa.pub')).read().strip()


RULES = [{'direction': 'ingress', 'ethertype': 'IPv4', 'protocol': 'tcp', 'port_range_min': port,
          'port_range_max': port} for port in (22, 80, 3306)]
