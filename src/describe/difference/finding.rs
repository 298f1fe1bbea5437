//! What a comparison finds, and how grave it is.

use std::collections::BTreeSet;
use std::fmt;

/// How grave a change is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Severity {
    /// Old and new peers understand each other in any order of rollout.
    Compatible,
    /// Some peers fail or lose values unless the others are updated first, or nobody uses what is new
    /// until all are.
    Risky,
    /// What callers do today fails or loses values as soon as providers are updated.
    Breaking,
}

/// Which peers of different versions meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Peers {
    /// Callers of the old version call providers of the new one.
    OldCallers,
    /// Callers of the new version call providers of the old one.
    NewCallers,
}

/// The part of a call that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum BodyPart {
    /// The arguments, which the provider reads.
    Arguments,
    /// The result, which the caller reads.
    Reply,
    /// The typed business error, which the caller reads.
    Error,
}

/// The codecs that differ in what they read. Others that write names, as those of a program's own by
/// serde, are as msgpack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum BodyForm {
    /// Finds fields by number.
    Protobuf,
    /// Finds fields by name.
    Msgpack,
    /// Finds fields by name.
    Json,
}

impl BodyForm {
    /// Every one of them.
    pub const ALL: [Self; 3] = [Self::Protobuf, Self::Msgpack, Self::Json];
}

/// What a reader has of a value in place of the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ReadOutcome {
    /// The reader does not have the field, as one that is older or needs it no more.
    Skipped,
    /// The variant under `#[rpc(other)]`.
    TakenAsOther,
    /// `None` in place of zero, empty or `false`, which protobuf does not write.
    DefaultAsNone,
    /// The status that carries the typed error, as of an error that it does not know.
    StatusAlone,
    /// The default, because nobody sends the field.
    NotSent,
    /// The default in place of `None`.
    NoneAsDefault,
    /// The default, although the value was sent: silently.
    Lost,
    /// Another value: silently.
    Changed,
    /// An error.
    Refused,
}

/// What one kind of peers has of a change in one codec.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct Effect {
    /// Who meets whom.
    pub peers: Peers,
    /// What is read.
    pub part: BodyPart,
    /// In which codec.
    pub form: BodyForm,
    /// What is read in place of some values, or of all.
    pub outcome: ReadOutcome,
    /// Whether only of values that the old version cannot express, such as a new variant.
    pub is_new: bool,
}

/// What changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ChangeKind {
    /// The service has another interface, group or version.
    ServiceKey,
    /// A service is not there any more.
    ServiceRemoved,
    /// A service is new.
    ServiceAdded,
    /// A method is not there any more.
    MethodRemoved,
    /// A method is new.
    MethodAdded,
    /// A method has other streams, or is one-way and was not.
    MethodKind,
    /// A method may run twice and might not, or the reverse.
    Idempotence,
    /// A default of callers in the attribute: timeout, retries or policy.
    CallerDefaults,
    /// The message of a body is an argument or result of its own, or was.
    BodyShape,
    /// The typed business error is another.
    ErrorType,
    /// A field or argument is not there any more.
    FieldRemoved,
    /// A field or argument is new.
    FieldAdded,
    /// A field or argument has another type.
    FieldType,
    /// A field or argument has another name.
    FieldRenamed,
    /// A field or argument has another number.
    FieldRenumbered,
    /// Arguments have another order, which counts where they are written as a list.
    ArgumentOrder,
    /// A variant is not there any more.
    VariantRemoved,
    /// A variant is new.
    VariantAdded,
    /// A variant holds another type.
    VariantType,
    /// A variant has another name.
    VariantRenamed,
    /// A variant has another number.
    VariantRenumbered,
    /// An enum takes unknown variants and did not, or the reverse.
    UnknownVariants,
    /// A number that was reserved is used, or no longer reserved.
    ReservedNumber,
    /// A struct is an enum with data, or the reverse.
    MessageShape,
    /// Something that a description or this version does not tell, so nothing can be said of it.
    NotCompared,
}

/// Who is to be updated first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum RolloutOrder {
    /// Providers before callers.
    ProvidersFirst,
    /// Callers before providers.
    CallersFirst,
    /// All, before anybody sends what is new.
    ReadersFirst,
}

/// One change of a contract.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// The service, by its key in the old version.
    pub service: String,
    /// Where: `shop.Orders/find argument id`, `Order.note`, `State::Paid`.
    pub place: String,
    /// What changed, for programs.
    pub kind: ChangeKind,
    /// What changed, in words.
    pub change: String,
    /// How grave it is.
    pub severity: Severity,
    /// Who is to be updated first; `None` if it does not matter or does not help.
    pub order: Option<RolloutOrder>,
    /// Who reads what in place of values, by codec; empty if every value is read as it is.
    pub effects: BTreeSet<Effect>,
    /// The methods whose calls carry it, by name; empty for what is of the service itself.
    pub methods: Vec<String>,
    /// What helps.
    pub remedy: String,
}

// === impl Effect ===

impl Effect {
    /// How grave it is, for a thing that is there on both sides or not.
    pub(super) fn severity(&self, is_lasting: bool) -> Severity {
        use ReadOutcome::{
            Changed, DefaultAsNone, Lost, NoneAsDefault, NotSent, Refused, Skipped, StatusAlone,
            TakenAsOther,
        };
        let is_hard = match self.outcome {
            Skipped | DefaultAsNone => return Severity::Compatible,
            TakenAsOther | StatusAlone | NotSent | NoneAsDefault if self.is_new => {
                return Severity::Compatible;
            }
            // What has gone on purpose reads so by design.
            TakenAsOther | StatusAlone => is_lasting,
            NotSent | NoneAsDefault => false,
            Lost | Changed | Refused => true,
        };
        match self.peers {
            Peers::OldCallers if is_hard && !self.is_new => Severity::Breaking,
            _ => Severity::Risky,
        }
    }
}

// === impl Severity ===

impl Severity {
    /// The gravest of `effects`, and who is to be updated first because of them.
    pub(super) fn of(effects: &BTreeSet<Effect>, is_lasting: bool) -> (Self, Option<RolloutOrder>) {
        let mut worst = Self::Compatible;
        let (mut hurts_old, mut hurts_new) = (false, false);
        for effect in effects {
            let severity = effect.severity(is_lasting);
            worst = worst.max(severity);
            if severity > Self::Compatible {
                hurts_old |= effect.peers == Peers::OldCallers;
                hurts_new |= effect.peers == Peers::NewCallers;
            }
        }
        let order = match (worst, hurts_old, hurts_new) {
            (Self::Compatible, ..) | (Self::Breaking, ..) => None,
            (_, true, true) => Some(RolloutOrder::ReadersFirst),
            (_, true, false) => Some(RolloutOrder::CallersFirst),
            _ => Some(RolloutOrder::ProvidersFirst),
        };
        (worst, order)
    }
}

// === words ===

/// The names of variants as programs read them, and as people do.
macro_rules! named {
    ($($ty:ident { $($variant:ident: $name:literal,)* })*) => {$(
        impl $ty {
            /// Its name, for programs and people.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }

        impl fmt::Display for $ty {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }
    )*};
}

named! {
    Severity {
        Compatible: "compatible",
        Risky: "risky",
        Breaking: "breaking",
    }
    Peers {
        OldCallers: "old callers of new providers",
        NewCallers: "new callers of old providers",
    }
    BodyPart {
        Arguments: "arguments",
        Reply: "reply",
        Error: "error",
    }
    BodyForm {
        Protobuf: "protobuf",
        Msgpack: "msgpack",
        Json: "json",
    }
    ReadOutcome {
        Skipped: "skipped",
        TakenAsOther: "taken as other",
        DefaultAsNone: "default read as none",
        StatusAlone: "status alone",
        NotSent: "not sent",
        NoneAsDefault: "none read as the default",
        Lost: "lost",
        Changed: "changed",
        Refused: "refused",
    }
    ChangeKind {
        ServiceKey: "service key",
        ServiceRemoved: "service removed",
        ServiceAdded: "service added",
        MethodRemoved: "method removed",
        MethodAdded: "method added",
        MethodKind: "method kind",
        Idempotence: "idempotence",
        CallerDefaults: "caller defaults",
        BodyShape: "body shape",
        ErrorType: "error type",
        FieldRemoved: "field removed",
        FieldAdded: "field added",
        FieldType: "field type",
        FieldRenamed: "field renamed",
        FieldRenumbered: "field renumbered",
        ArgumentOrder: "argument order",
        VariantRemoved: "variant removed",
        VariantAdded: "variant added",
        VariantType: "variant type",
        VariantRenamed: "variant renamed",
        VariantRenumbered: "variant renumbered",
        UnknownVariants: "unknown variants",
        ReservedNumber: "reserved number",
        MessageShape: "message shape",
        NotCompared: "not compared",
    }
    RolloutOrder {
        ProvidersFirst: "update providers first",
        CallersFirst: "update callers first",
        ReadersFirst: "update all before anybody sends what is new",
    }
}

// === impl Finding ===

impl Finding {
    /// Leaves out what is of other codecs, and is as grave as the rest.
    pub(super) fn keep_forms(&mut self, forms: &[BodyForm]) {
        let had = self.effects.len();
        self.effects.retain(|effect| forms.contains(&effect.form));
        // What has no effects in any codec does not depend on it.
        if self.effects.len() == had {
            return;
        }
        let (severity, order) = Severity::of(&self.effects, self.is_lasting());
        if severity < self.severity {
            (self.severity, self.order) = (severity, order);
        }
    }

    /// Whether the thing is there on both sides.
    fn is_lasting(&self) -> bool {
        !matches!(
            self.kind,
            ChangeKind::FieldAdded
                | ChangeKind::FieldRemoved
                | ChangeKind::VariantAdded
                | ChangeKind::VariantRemoved
                | ChangeKind::ReservedNumber
        )
    }
}

/// A line of what changed, one for each kind of peers with what they read, and one of what helps.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} {}", self.severity, self.place, self.change)?;
        match &self.methods[..] {
            [] => writeln!(f)?,
            [only] if self.place.contains(&format!("/{only}")) => writeln!(f)?,
            methods => writeln!(f, " (in {})", methods.join(", "))?,
        }
        for (peers, part, outcomes) in self.by_peers() {
            writeln!(f, "  {peers}: {part} {outcomes}")?;
        }
        if let Some(order) = self.order {
            writeln!(f, "  rollout: {order}")?;
        }
        if self.remedy.is_empty() { Ok(()) } else { writeln!(f, "  remedy: {}", self.remedy) }
    }
}

impl Finding {
    /// Whether people want to know: not that who is older skips what is new.
    fn is_worth_telling(&self, effect: &Effect) -> bool {
        let is_by_design = match effect.outcome {
            ReadOutcome::Skipped => true,
            ReadOutcome::NotSent => effect.is_new,
            _ => false,
        };
        !is_by_design || effect.severity(self.is_lasting()) > Severity::Compatible
    }

    /// Who reads what of which part, with its codecs: `lost in msgpack, json`.
    fn by_peers(&self) -> Vec<(Peers, BodyPart, String)> {
        let told = self.effects.iter().filter(|effect| self.is_worth_telling(effect));
        let told: Vec<&Effect> = told.collect();
        let ways: BTreeSet<(Peers, BodyPart)> =
            told.iter().map(|effect| (effect.peers, effect.part)).collect();
        let told = ways.into_iter().map(|(peers, part)| {
            let of_way = told.iter().filter(|it| (it.peers, it.part) == (peers, part));
            let outcomes: BTreeSet<(ReadOutcome, bool)> =
                of_way.clone().map(|effect| (effect.outcome, effect.is_new)).collect();
            let texts = outcomes.into_iter().map(|(outcome, is_new)| {
                let forms =
                    of_way.clone().filter(|it| (it.outcome, it.is_new) == (outcome, is_new));
                let forms: BTreeSet<&str> = forms.map(|effect| effect.form.name()).collect();
                let new = if is_new { " for new values" } else { "" };
                match forms.len() == BodyForm::ALL.len() {
                    true => format!("{outcome}{new}"),
                    false => {
                        let forms: Vec<&str> = forms.into_iter().collect();
                        format!("{outcome} in {}{new}", forms.join(", "))
                    }
                }
            });
            (peers, part, texts.collect::<Vec<_>>().join("; "))
        });
        told.collect()
    }
}
