//! Files of a crate import each other without circles. A module may use the items of its parent
//! modules.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// Crates without circles.
const CRATES: [&str; 3] = ["operations", "recovery", "repository"];

/// A module, as its path from the root of the crate.
type Module = Vec<String>;

#[test]
fn no_files_import_each_other_in_a_circle() {
    let mut circles = Vec::new();
    for name in CRATES {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../shared")
            .join(name)
            .join("src");
        circles.extend(circles_of(&root));
    }
    assert!(circles.is_empty(), "files in circles: {circles:#?}");
}

#[test]
fn a_circle_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("lib.rs", "mod one; mod two; pub use self::two::Two;");
    write("one.rs", "use crate::Two; pub struct One;");
    write(
        "two.rs",
        "pub struct Two; #[cfg(test)] mod tests { use crate::one::One; }",
    );
    assert!(circles_of(folder.path()).is_empty());
    write("two.rs", "pub struct Two; fn f(_: crate::one::One) {}");
    assert_eq!(circles_of(folder.path()), [["one", "two"]]);
}

fn circles_of(root: &Path) -> Vec<Vec<String>> {
    let files = files_of(root, root);
    let names: BTreeSet<Module> = files.keys().cloned().collect();
    let mut exports = BTreeMap::new();
    let mut imports = BTreeMap::new();
    for (module, file) in &files {
        let source: TokenStream = fs::read_to_string(file).unwrap().parse().unwrap();
        let mut found = Found {
            module: module.clone(),
            ..Found::default()
        };
        found.read(source);
        exports.extend(found.exports);
        imports.insert(module.clone(), found.paths);
    }
    let target = |path: &Module| target_of(path, &names, &exports);
    let arrows: BTreeMap<Module, BTreeSet<Module>> = imports
        .iter()
        .map(|(module, paths)| {
            let targets = paths
                .iter()
                .map(target)
                .filter(|target| !module.starts_with(target))
                .collect();
            (module.clone(), targets)
        })
        .collect();
    circles(&arrows)
}

/// Every source file of a crate by its module.
fn files_of(root: &Path, folder: &Path) -> BTreeMap<Module, PathBuf> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_of(root, &path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let inside = path.strip_prefix(root).unwrap().with_extension("");
            let mut module: Module = inside
                .iter()
                .map(|part| part.to_str().unwrap().to_owned())
                .collect();
            module.pop_if(|last| matches!(last.as_str(), "mod" | "lib" | "main"));
            files.insert(module, path);
        }
    }
    files
}

/// The module that defines the item of a path. Exports of parent modules are followed.
fn target_of(
    path: &Module,
    names: &BTreeSet<Module>,
    exports: &BTreeMap<Module, Module>,
) -> Module {
    let mut path = path.clone();
    for _ in 0..8 {
        let Some(exported) = (0..=path.len()).find_map(|end| exports.get(&path[..end])) else {
            break;
        };
        path.clone_from(exported);
    }
    (0..=path.len())
        .rev()
        .map(|end| path[..end].to_vec())
        .find(|module| names.contains(module))
        .unwrap_or_default()
}

/// Groups of modules that reach each other.
fn circles(arrows: &BTreeMap<Module, BTreeSet<Module>>) -> Vec<Vec<String>> {
    let reached: BTreeMap<&Module, BTreeSet<&Module>> = arrows
        .keys()
        .map(|module| (module, reached_from(module, arrows)))
        .collect();
    let mut circles = BTreeSet::new();
    for (module, others) in &reached {
        if others.contains(module) {
            let back = |other: &&&Module| {
                reached
                    .get(**other)
                    .is_some_and(|back| back.contains(module))
            };
            circles.insert(
                others
                    .iter()
                    .filter(back)
                    .map(|other| other.join("/"))
                    .collect::<Vec<_>>(),
            );
        }
    }
    circles.into_iter().collect()
}

fn reached_from<'a>(
    from: &Module,
    arrows: &'a BTreeMap<Module, BTreeSet<Module>>,
) -> BTreeSet<&'a Module> {
    let mut reached = BTreeSet::new();
    let mut next: Vec<&Module> = arrows[from].iter().collect();
    while let Some(module) = next.pop() {
        if reached.insert(module) {
            next.extend(arrows.get(module).into_iter().flatten());
        }
    }
    reached
}

/// The paths inside the crate that a file names, and its exports.
#[derive(Default)]
struct Found {
    module: Module,
    paths: BTreeSet<Module>,
    exports: BTreeMap<Module, Module>,
}

impl Found {
    /// A path from the root of the crate. `None` for other crates and for names of this file.
    fn absolute(&self, path: &[String]) -> Option<Module> {
        let mut rest = path;
        let mut from = match rest.first()?.as_str() {
            "crate" => Vec::new(),
            "self" | "super" => self.module.clone(),
            _ => return None,
        };
        while let Some(first) = rest
            .first()
            .filter(|first| matches!(first.as_str(), "crate" | "self" | "super"))
        {
            if first == "super" {
                from.pop();
            }
            rest = &rest[1..];
        }
        from.extend_from_slice(rest);
        Some(from)
    }

    /// Collects paths and imports. Modules under `cfg` are left out.
    fn read(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut is_cfg = false;
        let mut rest = tokens.as_slice();
        while let [first, after @ ..] = rest {
            rest = after;
            match first {
                TokenTree::Ident(word) if word == "use" => {
                    let end = after
                        .iter()
                        .position(|token| token.to_string() == ";")
                        .unwrap_or(after.len());
                    self.import(&after[..end]);
                    rest = &after[end..];
                }
                TokenTree::Ident(word) if word == "mod" && is_cfg => {
                    rest = after.get(2..).unwrap_or_default();
                }
                TokenTree::Ident(_) => {
                    let (path, end) = path_of(rest_with(first, after));
                    self.paths.extend(self.absolute(&path));
                    rest = &after[end.saturating_sub(1).min(after.len())..];
                }
                TokenTree::Group(group) => {
                    let is_attribute = group.delimiter() == Delimiter::Bracket;
                    is_cfg = is_attribute && group.stream().to_string().starts_with("cfg");
                    self.read(group.stream());
                    continue;
                }
                TokenTree::Punct(_) => continue,
                TokenTree::Literal(_) => {}
            }
            is_cfg = false;
        }
    }

    fn import(&mut self, tree: &[TokenTree]) {
        let mut leaves = Vec::new();
        collect_leaves(tree, &[], &mut leaves);
        for (path, name) in leaves {
            let Some(path) = self.absolute(&path) else {
                continue;
            };
            // A private import is visible to child modules too.
            let exported = [self.module.as_slice(), &[name]].concat();
            if exported != path {
                self.exports.insert(exported, path.clone());
            }
            self.paths.insert(path);
        }
    }
}

/// The paths of a use tree, each with the name that it introduces.
fn collect_leaves(tree: &[TokenTree], before: &[String], leaves: &mut Vec<(Module, String)>) {
    for branch in tree
        .split(|token| token.to_string() == ",")
        .filter(|branch| !branch.is_empty())
    {
        let mut path = before.to_vec();
        let mut name = None;
        let mut words = branch.iter();
        while let Some(token) = words.next() {
            match token {
                TokenTree::Ident(word) if word == "as" => {
                    name = words.next().map(ToString::to_string);
                }
                TokenTree::Ident(word) if word == "self" && path.len() > before.len().max(1) => {}
                TokenTree::Ident(word) => path.push(word.to_string()),
                TokenTree::Group(group) => {
                    let inner: Vec<TokenTree> = group.stream().into_iter().collect();
                    collect_leaves(&inner, &path, leaves);
                    path.clear();
                }
                _ => {}
            }
        }
        if path.last().is_some_and(|last| last == "self") && path.len() > 1 {
            path.pop();
        }
        if !path.is_empty() {
            let name = name.or_else(|| path.last().cloned()).unwrap_or_default();
            leaves.push((path, name));
        }
    }
}

fn rest_with<'a>(
    first: &'a TokenTree,
    after: &'a [TokenTree],
) -> impl Iterator<Item = &'a TokenTree> {
    std::iter::once(first).chain(after)
}

/// The path at the beginning of the tokens, and the number of its tokens.
fn path_of<'a>(tokens: impl Iterator<Item = &'a TokenTree>) -> (Vec<String>, usize) {
    let (mut path, mut end, mut colons) = (Vec::new(), 0, 0);
    for (place, token) in tokens.enumerate() {
        match token {
            TokenTree::Ident(word) if path.is_empty() || colons == 2 => {
                path.push(word.to_string());
                (end, colons) = (place + 1, 0);
            }
            TokenTree::Punct(mark) if mark.as_char() == ':' && colons < 2 => colons += 1,
            _ => break,
        }
    }
    (path, end)
}
