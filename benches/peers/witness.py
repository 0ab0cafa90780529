"""Looks at the cloud from outside, the same way whatever tool has worked there.

    witness.py check fleet | wordpress     says what is not as it should be; silence is good
    witness.py drift fleet | wordpress     changes one description, as somebody else would
    witness.py drifted fleet | wordpress   is that change still there? Status 0 if so
    witness.py absent fleet | wordpress    says which of the names are taken already; silence is good
    witness.py clean fleet | wordpress     removes everything of these names
"""
import sys
import time

import openstack

import wanted

cloud = openstack.connect()
CHANGED = 'somebody was here'
FLEET = range(wanted.FLEET)

# What a job makes, by name; in the order of removal.
NAMES = {
    'fleet': {'server': [f's{i}' for i in FLEET], 'port': [f'p{i}' for i in FLEET], 'volume': [f'v{i}' for i in FLEET],
              'network': [wanted.NETWORK], 'image': [wanted.IMAGE]},
    'wordpress': {'server': [wanted.DB, wanted.BLOG], 'port': ['db-port', 'blog-port'], 'volume': [wanted.VOLUME],
                  'router': ['auto-dep-router'], 'network': ['auto-dep-net'], 'security_group': [wanted.GROUP],
                  'keypair': [wanted.KEYPAIR], 'image': ['ubuntu_server']},
}
SERVICE = {'server': cloud.compute, 'keypair': cloud.compute, 'volume': cloud.block_storage, 'image': cloud.image}


def there(kind):
    """What there is of a kind, by name: a list for each name."""
    found = {}
    for item in getattr(SERVICE.get(kind, cloud.network), kind + 's')():
        found.setdefault(item.name, []).append(item)
    return found


def check(job):
    wrong = []
    found = {}
    for kind, names in NAMES[job].items():
        all_of_kind = there(kind)
        for name in names:
            items = all_of_kind.get(name, [])
            if len(items) != 1:
                wrong.append(f'{len(items)} {kind}s {name}')
            else:
                found[kind, name] = items[0]
    if wrong:
        return wrong
    for kind, name in found:
        if kind == 'server' and found[kind, name].status != 'ACTIVE':
            wrong.append(f'server {name} is {found[kind, name].status}')
    if job == 'fleet':
        homes = [(f's{i}', f'p{i}', f'v{i}') for i in FLEET]
        texts = [(found['port', f'p{i}'], wanted.port_description(i)) for i in FLEET]
    else:
        homes = [(wanted.DB, 'db-port', wanted.VOLUME), (wanted.BLOG, 'blog-port', None)]
        texts = [(found['security_group', wanted.GROUP], wanted.GROUP_DESCRIPTION)]
        wrong += check_wordpress(found)
    for server, port, volume in homes:
        id = found['server', server].id
        if found['port', port].device_id != id:
            wrong.append(f'port {port} is not at {server}')
        if volume and [it['server_id'] for it in found['volume', volume].attachments] != [id]:
            wrong.append(f'volume {volume} is not at {server}')
    for item, text in texts:
        # stackward writes its mark behind a description.
        if item.description != text and not item.description.startswith(text + ' '):
            wrong.append(f'{item.name} is described as {item.description!r}')
    return wrong


def check_wordpress(found):
    wrong = []
    group = found['security_group', wanted.GROUP]
    rules = {(rule['port_range_min'], rule['remote_ip_prefix']) for rule in group.security_group_rules
             if rule['direction'] == 'ingress'}
    if rules != {(port, prefix) for _, port, prefix in wanted.RULES}:
        wrong.append(f'rules {rules}')
    for name in ('db-port', 'blog-port'):
        if found['port', name].security_group_ids != [group.id]:
            wrong.append(f'security groups of {name}')
    if not any(it.port_id == found['port', 'blog-port'].id for it in cloud.network.ips()):
        wrong.append('no floating IP')
    router = found['router', 'auto-dep-router']
    subnets = [ip['subnet_id'] for port in cloud.network.ports(device_id=router.id) for ip in port.fixed_ips]
    if found['network', 'auto-dep-net'].subnet_ids[0] not in subnets or not router.external_gateway_info:
        wrong.append('the router')
    if found['image', 'ubuntu_server'].status != 'active':
        wrong.append('the image')
    return wrong


def drifting(job):
    """What the drift is done to: the resource, its right description, and how it is written."""
    if job == 'fleet':
        middle = wanted.FLEET // 2
        return there('port')[f'p{middle}'][0], wanted.port_description(middle), cloud.network.update_port
    group = there('security_group')[wanted.GROUP][0]
    return group, wanted.GROUP_DESCRIPTION, cloud.network.update_security_group


def drift(job):
    item, text, update = drifting(job)
    # What stands behind the text is not touched: it is no part of what the person wanted to say.
    update(item, description=item.description.replace(text, CHANGED, 1))


def clean(job):
    ports = {it.id for it in there('port').get('blog-port', [])}
    for address in cloud.network.ips() if job == 'wordpress' else ():
        if address.port_id in ports:
            cloud.network.delete_ip(address)
    for router in there('router').get('auto-dep-router', []) if job == 'wordpress' else ():
        for port in cloud.network.ports(device_id=router.id, device_owner='network:router_interface'):
            cloud.network.remove_interface_from_router(router, port_id=port.id)
    for kind, names in NAMES[job].items():
        for attempt in range(600):
            left = [item for name in names for item in there(kind).get(name, [])]
            if not left:
                break
            for item in left:
                try:
                    getattr(SERVICE.get(kind, cloud.network), 'delete_' + kind)(item)
                except openstack.exceptions.HttpException as error:
                    # It is still in use by what is just being deleted.
                    if error.status_code not in (400, 409) or attempt == 599:
                        raise
            time.sleep(1)


if __name__ == '__main__':
    what, job = sys.argv[1:]
    if what == 'check':
        wrong = check(job)
        print('; '.join(wrong[:3]) + (f' and {len(wrong) - 3} more' if len(wrong) > 3 else ''))
    elif what == 'drift':
        drift(job)
    elif what == 'drifted':
        sys.exit(0 if drifting(job)[0].description.startswith(CHANGED) else 1)
    elif what == 'absent':
        taken = [f'{kind} {name}' for kind, names in NAMES[job].items() for name in set(names) & set(there(kind))]
        print('; '.join(taken[:3]))
    elif what == 'clean':
        clean(job)
