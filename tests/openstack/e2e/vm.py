"""manifests/wordpress on guests that really boot: the page is served, and the database lives on the volume.

usage: python -m e2e.vm BINARY GUEST-IMAGE SCREENSHOT      (tests/openstack/wordpress-vm calls it; see there)
BINARY `by-hand` deploys with openstacksdk instead: then a failure is the lab's or the user data's, not stackward's.
"""
import html
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error

from . import by_hand
from .checks import Checks, PATIENCE, Failed, require, until
from .cloud import Cloud
from .daemon import OPENER, Stackward

LAB = os.environ['LAB_DIR']
CHROMIUM = ['chromium', '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
            '--disable-background-networking', '--disable-component-update', '--disable-sync', '--no-proxy-server',
            '--window-size=1200,900', '--timeout=60000']


class Scenario:
    """One deployment, from the manifests to the page."""

    def __init__(self, image, shot):
        os.makedirs(os.path.join(LAB, 'e2e'), exist_ok=True)
        self.work = tempfile.mkdtemp(prefix='vm-', dir=os.path.join(LAB, 'e2e'))
        self.manifests = os.path.join(self.work, 'manifests')
        self.image, self.shot = image, shot
        self.cloud = Cloud(os.path.join(LAB, 'clouds.yaml'), 'demo')
        self.title = by_hand.documents()['ConfigMap', 'blog']['data']['title']
        self.url = None

    def put_image_in_place(self):
        """The very manifests of the repository; only the file that they name as the image is another one."""
        shutil.copytree(by_hand.MANIFESTS, self.manifests)
        place = os.path.join(self.manifests, 'images', 'ubuntu_server.qcow2')
        os.remove(place)
        try:
            os.link(self.image, place)
        except OSError:
            shutil.copyfile(self.image, place)

    def server(self, name):
        return next(s for s in self.cloud.list('server') if s['name'] == name)

    def console(self, name):
        """The lines that the user data wrote to the console."""
        text = self.cloud.client('console', 'log', 'show', self.server(name)['id'])
        return [line.strip() for line in re.findall(r'auto-dep: .*', text)]

    def address(self):
        self.url = 'http://%s/' % self.cloud.list('floating_ip')[0]['floating_ip_address']
        return self.url

    def page(self):
        """The blog's front page when it answers 200, else None."""
        try:
            with OPENER.open(self.url, timeout=120) as answer:
                return html.unescape(answer.read().decode()) if answer.status == 200 else None
        except (urllib.error.URLError, OSError):
            return None

    # ---- the checks

    def page_is_served(self):
        try:
            text = until('the page at ' + self.url, self.page, 900, 1)
        except Failed as why:
            raise Failed('%s; consoles: %s' % (why, [self.console(n) for n in ('AUTO-DEP-DB', 'AUTO-DEP-BLOG')])) from None
        found = re.search(r'<title>(.*?)</title>', text, re.S)
        require(found and self.title in found.group(1), 'its title is %s' % (found and found.group(1)))
        for name in ('AUTO-DEP-DB', 'AUTO-DEP-BLOG'):
            for line in self.console(name):
                print('                 %s %s' % (name, line))
        return '%s: %s' % (self.url, found.group(1).strip())

    def data_directory_is_on_the_volume(self):
        """The guest says so."""
        lines = self.console('AUTO-DEP-DB')
        require(any('data directory on /dev/vdb' in line for line in lines), 'the console says %s' % lines)

    def volume_holds_the_blog(self):
        """The volume's file says so, read from outside while the guest is paused."""
        volume = next(v for v in self.cloud.list('volume') if v['name'] == 'mysql-volume')
        server = self.server('AUTO-DEP-DB')['id']
        copy = os.path.join(self.work, 'volume.raw')
        self.cloud.client('server', 'pause', server)
        try:
            until('the pause', lambda: self.cloud.server(server)['status'] == 'PAUSED', 60)
            source = os.path.join(LAB, 'data', 'volumes', 'volume-' + volume['id'])
            subprocess.run(['cp', '--sparse=always', source, copy], check=True)
        finally:
            self.cloud.client('server', 'unpause', server)
        until('the end of the pause', lambda: self.cloud.server(server)['status'] == 'ACTIVE', 60)
        subprocess.run(['/sbin/e2fsck', '-fy', copy], capture_output=True, check=False)      # replays the journal
        listed = subprocess.run(['/sbin/debugfs', '-R', 'ls -p /data/blog', copy], capture_output=True, text=True, check=True)
        os.remove(copy)
        tables = re.findall(r'/([a-z_]+)\.ibd/', listed.stdout)
        require('wp_posts' in tables, 'tables on the volume: %s' % (tables or listed.stdout + listed.stderr))
        return '%d tables' % len(tables)

    def screenshot(self):
        """A picture of the page, for a person to look at; it must not be blank."""
        with tempfile.TemporaryDirectory() as profile:
            subprocess.run([*CHROMIUM, '--user-data-dir=' + profile, '--screenshot=' + self.shot, self.url],
                           capture_output=True, check=True, timeout=180 * PATIENCE)
        size = os.path.getsize(self.shot)
        require(size > 10000, 'only %d bytes' % size)
        return self.shot

    def data_outlives_the_server(self):
        """The database server is deleted; the next one finds the blog on the volume."""
        old = self.server('AUTO-DEP-DB')['id']
        self.cloud.client('server', 'delete', '--wait', old)

        def another():
            return any(s['name'] == 'AUTO-DEP-DB' and s['id'] != old and s['status'] == 'ACTIVE'
                       for s in self.cloud.list('server'))
        until('a new AUTO-DEP-DB', another, 300)
        until('its word about the volume', lambda: any(
            'the volume holds a database already' in line for line in self.console('AUTO-DEP-DB')), 600, 3)
        text = until('the page', self.page, 300, 1)
        require(self.title in text, 'another page')

    def run(self, binary):
        checks = Checks()
        began = time.time()
        self.put_image_in_place()
        stackward = Stackward(binary, os.path.join(LAB, 'clouds.yaml'), 'demo', self.work)
        with stackward.start(self.manifests, os.path.join(self.work, 'state')) as daemon:
            checks.run('stackward deploys manifests/wordpress', daemon.wait_available, 900, fatal=True)
            self.look(checks, began)
            checks.run('the data outlive the server', self.data_outlives_the_server)
        return checks.summary()

    def run_by_hand(self):
        checks = Checks()
        began = time.time()
        checks.run('deployed by hand', by_hand.deploy, self.cloud, self.image, fatal=True)
        self.look(checks, began)
        checks.run('removed by hand', by_hand.remove, self.cloud)
        return checks.summary()

    def look(self, checks, began):
        self.address()
        if checks.run('the floating IP serves the blog', self.page_is_served):
            print('                 %.0f s after the first request' % (time.time() - began))
        checks.run('the data directory is on the attached volume', self.data_directory_is_on_the_volume)
        checks.run('a screenshot', self.screenshot)
        checks.run('the volume holds the blog', self.volume_holds_the_blog)


def main():
    binary, image, shot = sys.argv[1:4]
    scenario = Scenario(os.path.abspath(image), os.path.abspath(shot))
    try:
        sys.exit(scenario.run_by_hand() if binary == 'by-hand' else scenario.run(os.path.abspath(binary)))
    finally:
        shutil.rmtree(scenario.manifests, ignore_errors=True)      # the image's copy is large


if __name__ == '__main__':
    main()
