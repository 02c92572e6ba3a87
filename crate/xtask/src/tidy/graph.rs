//! Questions to Cargo's dependency graph.

use std::collections::{HashMap, HashSet};

use cargo_metadata::{DependencyKind, Metadata, Package, PackageId};

pub struct Graph<'a> {
    packages: HashMap<&'a PackageId, &'a Package>,
    /// What a package is built or run with; tests left out.
    edges: HashMap<&'a PackageId, Vec<&'a PackageId>>,
    members: &'a [PackageId],
}

impl<'a> Graph<'a> {
    pub fn new(metadata: &'a Metadata) -> Self {
        let packages = metadata.packages.iter().map(|package| (&package.id, package)).collect();
        let nodes = metadata.resolve.iter().flat_map(|resolve| &resolve.nodes);
        let edges = nodes
            .map(|node| {
                let used = node.deps.iter().filter(|dependency| {
                    dependency.dep_kinds.is_empty()
                        || dependency.dep_kinds.iter().any(|kind| kind.kind != DependencyKind::Development)
                });
                (&node.id, used.map(|dependency| &dependency.pkg).collect())
            })
            .collect();
        Self { packages, edges, members: &metadata.workspace_members }
    }

    /// The member of that name, if there is one.
    pub fn member(&self, name: &str) -> Option<&'a PackageId> {
        self.members.iter().find(|id| self.packages[id].name.as_str() == name)
    }

    pub fn members(&self) -> impl Iterator<Item = &'a PackageId> {
        self.members.iter()
    }

    pub fn name(&self, id: &PackageId) -> &'a str {
        self.packages[id].name.as_str()
    }

    /// What `id` names in its own `[dependencies]` and `[build-dependencies]`.
    pub fn direct(&self, id: &'a PackageId) -> Vec<&'a PackageId> {
        self.edges.get(id).cloned().unwrap_or_default()
    }

    /// Everything that `id` is built with, itself left out.
    pub fn all(&self, id: &'a PackageId) -> HashSet<&'a PackageId> {
        let mut seen = HashSet::new();
        let mut open = self.direct(id);
        while let Some(next) = open.pop() {
            if seen.insert(next) {
                open.extend(self.direct(next));
            }
        }
        seen
    }
}
