"""The openstack command line client, as a person at a terminal, without its start-up for each command.

The client takes longer to start than most commands take, so it is loaded once and forked for each.
"""
import json
import os
import shlex
import sys
import warnings

from .checks import Failed


class Client:
    """The client for one cloud of a clouds.yaml."""

    def __init__(self, clouds, cloud):
        warnings.simplefilter('ignore')
        import openstackclient.compute.client      # noqa: F401  loaded here, so that no fork has to
        import openstackclient.image.client        # noqa: F401
        import openstackclient.network.client      # noqa: F401
        import openstackclient.volume.client       # noqa: F401
        from openstackclient import shell
        self.shell, self.clouds, self.cloud = shell, clouds, cloud

    def __call__(self, command, **values):
        """Runs `openstack COMMAND`; its output. Values are put in as single words."""
        arguments = shlex.split(command.format(**{key: shlex.quote(str(value)) for key, value in values.items()}))
        reading, writing = os.pipe()
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            os.dup2(writing, 1)
            os.dup2(writing, 2)
            os.environ['OS_CLIENT_CONFIG_FILE'] = self.clouds
            status = 70
            try:
                status = self.shell.main(['--os-cloud', self.cloud, *arguments])
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(status or 0)
        os.close(writing)
        with os.fdopen(reading) as output:
            text = output.read()
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if status:
            raise Failed('openstack %s: %s' % (' '.join(arguments), text.strip()))
        return text

    def made(self, command, **values):
        """The id of what a command made."""
        found = json.loads(self(command + ' -f json', **values))
        return found.get('id') or found['ID']
