//! A contract and its twin, written at random: the same storage, changed in the same steps, and the
//! same functions, events and errors.

use std::fmt::Write as _;

use super::kind::{Dice, Kind};

/// How often storage is changed and compared.
pub(super) const STEPS: usize = 6;
/// Statements after which a step begins with no other field.
const STATEMENTS: usize = 150;
/// How many functions, events and errors there are.
pub(super) const FUNCTIONS: usize = 8;

/// Both sources, and what their functions take.
pub(super) struct Twins {
    pub(super) rust: String,
    pub(super) solidity: String,
    /// Fields of the structs that are arguments.
    pub(super) structs: Vec<Vec<Kind>>,
    /// Arguments of `echoN`, `emitN` and `failN`.
    pub(super) arguments: Vec<Vec<Kind>>,
}

/// A statement, as both write it.
type Statement = (String, String);

/// A place in storage, as both write it.
#[derive(Clone)]
struct Place {
    solidity: String,
    rust: String,
}

impl Place {
    fn field(&self, number: usize) -> Self {
        let dot = if self.solidity.is_empty() { "" } else { "." };
        Self {
            solidity: format!("{}{dot}f{number}", self.solidity),
            rust: format!("{}.f{number}", self.rust),
        }
    }

    fn at(&self, (solidity, rust): (String, String)) -> Self {
        Self {
            solidity: format!("{}[{solidity}]", self.solidity),
            rust: format!("{}.at_mut({rust})", self.rust),
        }
    }

    fn index(&self, index: usize) -> Self {
        self.at((index.to_string(), index.to_string()))
    }

    /// A statement that is an operation of either language.
    fn does(&self, solidity: &str, rust: &str) -> Statement {
        (format!("{}{solidity};", self.solidity), format!("{}{rust};", self.rust))
    }
}

/// Statements that change what stands at a place.
fn change(dice: &mut Dice, kind: &Kind, at: &Place, parts: &[Vec<Kind>], out: &mut Vec<Statement>) {
    if dice.below(12) == 0 && !matches!(kind, Kind::Map(..)) {
        out.push((format!("delete {};", at.solidity), format!("{}.erase();", at.rust)));
        return;
    }
    match kind {
        Kind::Map(key, of) => {
            for _ in 0..2 {
                let key = key.literal(dice);
                change(dice, of, &at.at(key), parts, out);
            }
        }
        Kind::List(of) => {
            // From nothing, for the place may have any number of elements.
            out.push((format!("delete {};", at.solidity), format!("{}.erase();", at.rust)));
            let len = 1 + dice.below(4);
            for index in 0..len {
                out.push(at.does(".push()", ".grow()"));
                change(dice, of, &at.index(index), parts, out);
            }
            if dice.below(3) == 0 {
                out.push(at.does(".pop()", ".shrink()"));
            }
        }
        Kind::Array(of, len) => {
            (0..*len).for_each(|index| change(dice, of, &at.index(index), parts, out));
        }
        Kind::Struct(number) => {
            for (field, kind) in parts[*number].iter().enumerate() {
                change(dice, kind, &at.field(field), parts, out);
            }
        }
        _ => {
            let (solidity, rust) = kind.literal(dice);
            let by = if kind.is_value() { "" } else { "&" };
            out.push(at.does(&format!(" = {solidity}"), &format!(".set({by}{rust})")));
        }
    }
}

impl Twins {
    pub(super) fn new(dice: &mut Dice) -> Self {
        let mut stored: Vec<Vec<Kind>> = Vec::new();
        let mut structs: Vec<Vec<Kind>> = Vec::new();
        for number in 0..4 {
            let count = 2 + dice.below(5);
            stored.push((0..count).map(|_| Kind::stored(dice, number, 1)).collect());
            let count = 1 + dice.below(4);
            structs.push((0..count).map(|_| Kind::argument(dice, number, 1)).collect());
        }
        let fields: Vec<Kind> = (0..16).map(|_| Kind::stored(dice, stored.len(), 2)).collect();
        let arguments: Vec<Vec<Kind>> = (0..FUNCTIONS)
            .map(|_| {
                let count = 1 + dice.below(3);
                (0..count).map(|_| Kind::argument(dice, structs.len(), 2)).collect()
            })
            .collect();
        let root = Place { solidity: String::new(), rust: "self".into() };
        let steps: Vec<Vec<Statement>> = (0..STEPS)
            .map(|step| {
                let mut statements = Vec::new();
                let first = dice.below(fields.len());
                for at in 0..fields.len() {
                    // As many as the gas of a transaction stores.
                    let number = (first + at) % fields.len();
                    let kind = &fields[number];
                    if statements.len() < STATEMENTS && (step < 2 || dice.below(3) == 0) {
                        change(dice, kind, &root.field(number), &stored, &mut statements);
                    }
                }
                statements
            })
            .collect();
        let mut twins = Self { rust: String::new(), solidity: String::new(), structs, arguments };
        twins.write_rust(&stored, &fields, &steps);
        twins.write_solidity(&stored, &fields, &steps);
        twins
    }

    fn write_rust(&mut self, stored: &[Vec<Kind>], fields: &[Kind], steps: &[Vec<Statement>]) {
        let mut text = String::from(
            "#![cfg_attr(target_os = \"none\", no_std, no_main)]\n\
             use tandem_kit::prelude::*;\n\
             #[derive(Abi, Clone, Copy, Debug, PartialEq, Eq)]\npub enum Phase { A, B, C }\n",
        );
        let list = |kinds: &[Kind]| -> String {
            let fields = kinds.iter().enumerate();
            fields.map(|(n, kind)| format!("pub f{n}: {}, ", kind.rust())).collect()
        };
        for (number, kinds) in stored.iter().enumerate() {
            let fields = list(kinds).replace("Part", "Stored");
            text += &format!("#[storage] pub struct Stored{number} {{ {fields} }}\n");
        }
        for (number, kinds) in self.structs.iter().enumerate() {
            let head = "#[derive(Abi, Clone, Debug, PartialEq, Eq)]";
            text += &format!("{head} pub struct Part{number} {{ {} }}\n", list(kinds));
        }
        let fields = list(fields).replace("Part", "Stored");
        text += &format!("#[storage] pub struct Twin {{ {fields} }}\n");
        for (number, kinds) in self.arguments.iter().enumerate() {
            let (mut event, mut error) = (String::new(), String::new());
            for (n, kind) in kinds.iter().enumerate() {
                let indexed = if is_indexed(number, n) { "#[indexed] " } else { "" };
                event += &format!("{indexed}a{n}: {}, ", kind.rust());
                error += &format!("a{n}: {}, ", kind.rust());
            }
            text += &format!(
                "event! {{ Event{number}({event}); }}\nerror! {{ Error{number}({error}); }}\n"
            );
        }
        let names =
            |name: &str| -> String { (0..FUNCTIONS).map(|n| format!("{name}{n}, ")).collect() };
        text += &format!(
            "#[contract(events({}), errors({}))]\nimpl Twin {{\n",
            names("Event"),
            names("Error")
        );
        for (number, statements) in steps.iter().enumerate() {
            let lines: Vec<&str> = statements.iter().map(|(_, rust)| &**rust).collect();
            text += &format!("pub fn step{number}(&mut self) {{\n{}\n}}\n", lines.join("\n"));
        }
        for (number, kinds) in self.arguments.iter().enumerate() {
            let types: Vec<String> = kinds.iter().map(Kind::rust).collect();
            let names: Vec<String> = (0..kinds.len()).map(|n| format!("a{n}")).collect();
            let taken: Vec<String> =
                names.iter().zip(&types).map(|(name, kind)| format!("{name}: {kind}")).collect();
            let (taken, names) = (taken.join(", "), names.join(", "));
            let (returned, answer) = match &types[..] {
                [one] => (one.clone(), names.clone()),
                _ => (format!("({})", types.join(", ")), format!("({names})")),
            };
            let _ = write!(
                text,
                "pub fn echo{number}({taken}) -> {returned} {{ {answer} }}\n\
                 pub fn emit{number}(&mut self, {taken}) {{ self.emit(Event{number} {{ {names} }}) }}\n\
                 pub fn fail{number}({taken}) {{ Error{number} {{ {names} }}.revert() }}\n"
            );
        }
        self.rust = text + "}\nentry!(Twin);\n";
    }

    fn write_solidity(&mut self, stored: &[Vec<Kind>], fields: &[Kind], steps: &[Vec<Statement>]) {
        let mut text = String::from(
            "// SPDX-License-Identifier: UNLICENSED\npragma solidity ^0.8.4;\n\
             contract Twin {\nenum Phase { A, B, C }\n",
        );
        let list = |kinds: &[Kind]| -> String {
            let fields = kinds.iter().enumerate();
            fields.map(|(n, kind)| format!("{} f{n}; ", kind.solidity())).collect()
        };
        for (number, kinds) in stored.iter().enumerate() {
            let fields = list(kinds).replace("Part", "Stored");
            text += &format!("struct Stored{number} {{ {fields} }}\n");
        }
        for (number, kinds) in self.structs.iter().enumerate() {
            text += &format!("struct Part{number} {{ {} }}\n", list(kinds));
        }
        text += &list(fields).replace("Part", "Stored").replace("; ", ";\n");
        for (number, statements) in steps.iter().enumerate() {
            let lines: Vec<&str> = statements.iter().map(|(solidity, _)| &**solidity).collect();
            text += &format!("function step{number}() external {{\n{}\n}}\n", lines.join("\n"));
        }
        for (number, kinds) in self.arguments.iter().enumerate() {
            let each = |write: &dyn Fn(usize, &Kind) -> String| -> String {
                let all: Vec<String> =
                    kinds.iter().enumerate().map(|(n, kind)| write(n, kind)).collect();
                all.join(", ")
            };
            let event = each(&|n, kind| {
                let indexed = if is_indexed(number, n) { " indexed" } else { "" };
                format!("{}{indexed} a{n}", kind.solidity())
            });
            let error = each(&|n, kind| format!("{} a{n}", kind.solidity()));
            let taken = each(&|n, kind| format!("{} a{n}", kind.in_memory()));
            let returned = each(&|_, kind| kind.in_memory());
            let names = each(&|n, _| format!("a{n}"));
            let _ = write!(
                text,
                "event Event{number}({event});\nerror Error{number}({error});\n\
                 function echo{number}({taken}) external pure returns ({returned}) {{ return ({names}); }}\n\
                 function emit{number}({taken}) external {{ emit Event{number}({names}); }}\n\
                 function fail{number}({taken}) external pure {{ revert Error{number}({names}); }}\n"
            );
        }
        self.solidity = text + "}\n";
    }
}

/// Whether that argument of that event is indexed: most are.
fn is_indexed(event: usize, argument: usize) -> bool {
    !(event + argument).is_multiple_of(4)
}
