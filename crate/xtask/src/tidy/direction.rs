//! Who may depend on whom.

use cargo_metadata::Metadata;

use super::graph::Graph;

/// Each crate with the crates of the house that it may name.
const MAY_USE: [(&str, &[&str]); 10] = [
    ("lectern-corpus", &[]),
    ("lectern-index", &["lectern-corpus"]),
    ("lectern-simd", &[]),
    ("lectern-model", &["lectern-simd"]),
    ("lectern-adapter", &["lectern-model"]),
    ("lectern-engine", &["lectern-corpus", "lectern-index", "lectern-model", "lectern-adapter"]),
    ("lectern-wasm", &["lectern-engine"]),
    ("lectern", &["lectern-engine"]),
    ("lectern-tests", &[]),
    ("xtask", &[]),
];

/// Crates that know nothing of tensors, however indirectly.
const WITHOUT_TENSORS: [&str; 2] = ["lectern-corpus", "lectern-index"];
const TENSORS: [&str; 2] = ["burn", "cubecl"];

/// Crates that take bytes and return values.
pub const PURE: [&str; 6] =
    ["lectern-corpus", "lectern-index", "lectern-simd", "lectern-model", "lectern-adapter", "lectern-engine"];
/// What only the edges may name.
const EDGES_ONLY: [&str; 7] =
    ["wasm-bindgen", "wasm-bindgen-futures", "serde-wasm-bindgen", "js-sys", "web-sys", "clap", "indicatif"];

/// Lines that name each broken rule.
pub fn check(metadata: &Metadata) -> Vec<String> {
    let graph = Graph::new(metadata);
    let mut problems = Vec::new();
    for id in graph.members() {
        let name = graph.name(id);
        let Some((_, may_use)) = MAY_USE.iter().find(|(known, _)| *known == name) else {
            problems.push(format!("{name}: a crate without a place in the house (crate/xtask/src/tidy/direction.rs)"));
            continue;
        };
        for used in graph.direct(id) {
            let used_name = graph.name(used);
            let of_the_house = graph.member(used_name) == Some(used);
            if of_the_house && !may_use.contains(&used_name) {
                problems.push(format!("{name} depends on {used_name}, against the direction of the house"));
            }
            if PURE.contains(&name) && EDGES_ONLY.contains(&used_name) {
                problems.push(format!("{name} depends on {used_name}, which only wasm and cli may"));
            }
        }
        if WITHOUT_TENSORS.contains(&name) {
            for used in graph.all(id) {
                let used = graph.name(used);
                if TENSORS.contains(&used) {
                    problems.push(format!("{name} is built with {used}; retrieval knows no tensors"));
                }
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Metadata of a workspace whose members depend on each other as given.
    fn workspace(edges: &[(&str, &[&str])]) -> Metadata {
        let id = |name: &str| format!("path+file:///house/{name}#0.1.0");
        let package = |name: &&str| {
            serde_json::json!({
                "name": name, "version": "0.1.0", "id": id(name), "license": "MIT", "license_file": null,
                "description": null, "source": null, "dependencies": [], "targets": [], "features": {},
                "manifest_path": format!("/house/{name}/Cargo.toml"), "metadata": null, "publish": [],
                "authors": [], "categories": [], "keywords": [], "readme": null, "repository": null,
                "homepage": null, "documentation": null, "edition": "2024", "links": null,
                "default_run": null, "rust_version": null,
            })
        };
        let names: Vec<&str> = edges.iter().map(|(name, _)| *name).collect();
        let members: Vec<String> =
            names.iter().filter(|name| name.starts_with("lectern")).map(|name| id(name)).collect();
        let node = |(name, used): &(&str, &[&str])| {
            let deps: Vec<_> = used
                .iter()
                .map(|used| {
                    serde_json::json!({
                        "name": used, "pkg": id(used), "dep_kinds": [{ "kind": null, "target": null }],
                    })
                })
                .collect();
            let ids: Vec<_> = used.iter().map(|used| id(used)).collect();
            serde_json::json!({ "id": id(name), "dependencies": ids, "deps": deps, "features": [] })
        };
        serde_json::from_value(serde_json::json!({
            "packages": names.iter().map(package).collect::<Vec<_>>(),
            "workspace_members": members, "workspace_default_members": members,
            "resolve": { "nodes": edges.iter().map(node).collect::<Vec<_>>(), "root": null },
            "target_directory": "/house/target", "version": 1, "workspace_root": "/house", "metadata": null,
        }))
        .unwrap()
    }

    #[test]
    fn the_house_as_drawn_is_fine() {
        let metadata = workspace(&[
            ("lectern-corpus", &[]),
            ("lectern-index", &["lectern-corpus"]),
            ("lectern-model", &["burn"]),
            ("lectern-adapter", &["lectern-model"]),
            ("burn", &["web-sys"]),
            ("web-sys", &[]),
        ]);
        assert_eq!(check(&metadata), Vec::<String>::new());
    }

    #[test]
    fn each_broken_direction_is_named() {
        for (edges, message) in [
            (&[("lectern-corpus", &["helper"][..]), ("helper", &["burn"]), ("burn", &[])][..], "built with burn"),
            (&[("lectern-model", &["lectern-adapter"][..]), ("lectern-adapter", &[])], "against the direction"),
            (&[("lectern-engine", &["clap"][..]), ("clap", &[])], "only wasm and cli"),
            (&[("lectern-shed", &[][..])], "without a place"),
        ] {
            let problems = check(&workspace(edges));
            assert_eq!(problems.len(), 1, "{problems:?}");
            assert!(problems[0].contains(message), "{problems:?}");
        }
    }
}
