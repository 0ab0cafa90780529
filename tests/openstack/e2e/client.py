"""The openstack command line client, as a person who types one command after the other into one session of it.

The client takes longer to start, and to log in, than most commands take: it is started once for each cloud, as by
`openstack` without a command, and is given the commands that would be typed at its prompt.
"""
import io
import json
import os
import shlex
import warnings

from openstackclient import shell

from .checks import Failed


class Client:
    """A session of the client on one cloud of a clouds.yaml: one in a process, since it keeps connections in its classes."""

    def __init__(self, clouds, cloud):
        warnings.simplefilter('ignore')
        os.environ['OS_CLIENT_CONFIG_FILE'] = clouds
        self.session = Session()
        self.session.stdout = io.StringIO()
        # The compute API's version is an option of the session, not of a command.
        status = self.session.run(['--os-cloud', cloud, '--os-compute-api-version', '2.90', 'token', 'issue'])
        if status:
            raise Failed('openstack token issue: %s' % self.session.error)

    def __call__(self, command, **values):
        """Runs `openstack COMMAND`; its output. Values are put in as single words."""
        arguments = shlex.split(command.format(**{key: shlex.quote(str(value)) for key, value in values.items()}))
        self.session.stdout = output = io.StringIO()
        try:
            status = self.session.run_subcommand(arguments)
        except SystemExit as usage:
            status = usage.code
        if status:
            raise Failed('openstack %s: %s' % (' '.join(arguments), self.session.error or output.getvalue().strip()))
        return output.getvalue()

    def made(self, command, **values):
        """The id of what a command made."""
        found = json.loads(self(command + ' -f json', **values))
        return found.get('id') or found['ID']


class Session(shell.OpenStackShell):
    """The client itself. It keeps why a command failed, which it would only print."""

    error = None

    def clean_up(self, cmd, result, err):
        self.error = err
        super().clean_up(cmd, result, err)
