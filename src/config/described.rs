//! The macro that makes a section of the config file.

/// The descriptions of a section and its keys.
pub(super) trait Described {
    const ABOUT: &'static str;
    const KEYS: &'static [(&'static str, &'static str)];
}

/// Makes the struct of a section, its defaults and its text for the reference from one table of keys.
macro_rules! section {
    ($(#[doc = $about:literal])+ $vis:vis struct $name:ident {
        $($(#[doc = $doc:literal])+ $(#[serde($($serde:tt)*)])? pub $key:ident: $type:ty = $default:expr,)*
    }) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(default, deny_unknown_fields)]
        $vis struct $name {
            $($(#[doc = $doc])+ $(#[serde($($serde)*)])? pub $key: $type,)*
        }

        impl Default for $name {
            fn default() -> Self {
                $name { $($key: $default,)* }
            }
        }

        impl $crate::config::described::Described for $name {
            const ABOUT: &'static str = concat!($($about),+);
            const KEYS: &'static [(&'static str, &'static str)] =
                &[$((stringify!($key), concat!($($doc),+)),)*];
        }
    };
}
pub(super) use section;
