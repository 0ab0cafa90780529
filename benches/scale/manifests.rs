//! What is declared: servers, each with a port and a volume of its own.

use std::fs;
use std::path::Path;

use crate::daemon::manifests;

const API: &str = "apiVersion: stackward.dev/v1alpha1";

/// How many objects there are beside the servers, their ports and their volumes.
pub(crate) const BESIDE: u64 = 3;

/// A network with its subnet, an image, and servers with a port and a volume each; a file for each server.
/// Returns the number of objects.
pub(crate) fn write(directory: &Path, servers: u64) -> u64 {
    let root = manifests(directory);
    fs::create_dir_all(&root).unwrap();
    fs::write(root.join("disk.raw"), vec![0; 1 << 20]).unwrap();
    let base = format!(
        "{API}\nkind: Network\nmetadata: {{name: net}}\nspec: {{resource: {{}}}}\n---\n\
         {API}\nkind: Subnet\nmetadata: {{name: net}}\n\
         spec: {{resource: {{networkRef: net, ipVersion: 4, cidr: 10.0.0.0/8}}}}\n---\n\
         {API}\nkind: Image\nmetadata: {{name: base}}\n\
         spec: {{resource: {{content: {{diskFormat: raw, file: disk.raw}}}}}}\n"
    );
    fs::write(root.join("base.yaml"), base).unwrap();
    for index in 0..servers {
        fs::write(root.join(format!("s{index:05}.yaml")), server(index)).unwrap();
    }
    BESIDE + 3 * servers
}

/// A volume by itself.
pub(crate) fn volume(name: &str) -> String {
    format!("{API}\nkind: Volume\nmetadata: {{name: {name}}}\nspec: {{resource: {{size: 1}}}}\n")
}

/// A server with its port and its volume.
pub(crate) fn server(index: u64) -> String {
    format!(
        "{API}\nkind: Port\nmetadata: {{name: p{index}}}\n\
         spec: {{resource: {{networkRef: net, addresses: [{{subnetRef: net}}]}}}}\n---\n\
         {}---\n\
         {API}\nkind: Server\nmetadata: {{name: s{index}}}\nspec:\n  resource:\n    imageRef: base\n    \
         flavorRef: {{filter: {{name: m1.tiny}}}}\n    ports: [{{portRef: p{index}}}]\n    \
         volumes: [{{volumeRef: v{index}}}]\n",
        volume(&format!("v{index}"))
    )
}
