//! Files of a crate import each other without circles. A module may use the items of its parent
//! modules.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// Folders of crates, from the root of the repository.
const FOLDERS: [&str; 4] = ["shared", "functions", "infra", "."];

/// A module, as its path from the root of the crate.
type Module = Vec<String>;

#[test]
fn no_files_import_each_other_in_a_circle() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let crates: Vec<PathBuf> = FOLDERS
        .iter()
        .flat_map(|folder| crates_in(&root.join(folder)))
        .collect();
    assert!(crates.len() > 20, "too few crates: {crates:?}");
    let circles: Vec<(&PathBuf, Vec<String>)> = crates
        .iter()
        .flat_map(|one| {
            circles_of(&one.join("src"))
                .into_iter()
                .map(move |circle| (one, circle))
        })
        .collect();
    assert!(circles.is_empty(), "files in circles: {circles:#?}");
}

fn crates_in(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("Cargo.toml").exists())
        .collect()
}

#[test]
fn a_circle_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("lib.rs", "mod one; mod two; pub use two::Two;");
    write("one.rs", "use crate::Two; pub struct One;");
    write(
        "two.rs",
        "pub struct Two; #[cfg(test)] mod tests { use crate::one::One; }",
    );
    assert!(circles_of(folder.path()).is_empty());
    write("two.rs", "pub struct Two; fn f(_: crate::one::One) {}");
    assert_eq!(circles_of(folder.path()), [["one", "two"]]);
    // A function with the name of a module hides nothing.
    write(
        "lib.rs",
        "mod one; mod two; pub use self::two::{Two, one, two};",
    );
    assert_eq!(circles_of(folder.path()), [["one", "two"]]);
}

fn circles_of(root: &Path) -> Vec<Vec<String>> {
    circles(&arrows_of(root))
}

/// The modules that each module uses, without its parent modules.
fn arrows_of(root: &Path) -> BTreeMap<Module, BTreeSet<Module>> {
    let files = files_of(root, root);
    let names: BTreeSet<Module> = files.keys().cloned().collect();
    let mut exports = BTreeMap::new();
    let mut imports = BTreeMap::new();
    for (module, file) in &files {
        let source: TokenStream = fs::read_to_string(file).unwrap().parse().unwrap();
        let mut found = Found::new(module.clone(), &names);
        found.read(source);
        exports.extend(found.exports);
        imports.insert(module.clone(), found.paths);
    }
    let target = |path: &Module| target_of(path, &names, &exports);
    imports
        .iter()
        .map(|(module, paths)| {
            let targets = paths
                .iter()
                .map(target)
                .filter(|target| !module.starts_with(target))
                .collect();
            (module.clone(), targets)
        })
        .collect()
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
        // A function can have the name of a module. Then the longer path is through the module.
        let exported = (0..=path.len())
            .map(|end| path.split_at(end))
            .find_map(|(start, rest)| {
                let target = exports.get(start).filter(|_| !names.contains(start))?;
                Some([target.as_slice(), rest].concat())
            });
        let Some(exported) = exported else {
            break;
        };
        path = exported;
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
struct Found<'a> {
    module: Module,
    names: &'a BTreeSet<Module>,
    paths: BTreeSet<Module>,
    exports: BTreeMap<Module, Module>,
}

impl<'a> Found<'a> {
    fn new(module: Module, names: &'a BTreeSet<Module>) -> Self {
        Self {
            module,
            names,
            paths: BTreeSet::new(),
            exports: BTreeMap::new(),
        }
    }

    /// A path from the root of the crate. `None` for other crates and for names of this file.
    fn absolute(&self, path: &[String]) -> Option<Module> {
        let mut rest = path;
        let first = rest.first()?;
        let mut from = match first.as_str() {
            "crate" => Vec::new(),
            "self" | "super" => self.module.clone(),
            _ if path.len() > 1 && self.has_child(first) => self.module.clone(),
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

    fn has_child(&self, name: &String) -> bool {
        let child = [self.module.as_slice(), std::slice::from_ref(name)].concat();
        self.names.contains(&child)
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
