//! The kinds of registry that are broken.

/// A registry of which there is a server here, alone or in threes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Embedded,
    ZooKeeper,
    ZooKeeper3,
    Etcd,
    Etcd3,
    Nacos3,
    Nacos2,
}

impl Kind {
    pub(crate) const ALL: [Self; 7] = [
        Self::Embedded,
        Self::ZooKeeper,
        Self::Etcd,
        Self::ZooKeeper3,
        Self::Etcd3,
        Self::Nacos3,
        Self::Nacos2,
    ];

    /// Those that every run of CI has.
    pub(crate) const QUICK: [Self; 3] = [Self::Embedded, Self::ZooKeeper, Self::Etcd];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::ZooKeeper => "zookeeper",
            Self::ZooKeeper3 => "zookeeper3",
            Self::Etcd => "etcd",
            Self::Etcd3 => "etcd3",
            Self::Nacos3 => "nacos3",
            Self::Nacos2 => "nacos2",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Whether it is several servers, of which one may go.
    pub(super) const fn is_ensemble(self) -> bool {
        matches!(self, Self::ZooKeeper3 | Self::Etcd3)
    }

    pub(super) const fn is_nacos(self) -> bool {
        matches!(self, Self::Nacos2 | Self::Nacos3)
    }
}
