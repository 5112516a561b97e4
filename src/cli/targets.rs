//! The names of targets: the names of classes, the confusion matrix under them, the unit of numbers.

use downhill::data::{Dataset, Encoding};

/// A name for each class of a matrix; the number where the data have none.
pub(super) fn named(names: Option<Vec<String>>, classes: usize) -> Vec<String> {
    let names = names.unwrap_or_default();
    let known = names.len();
    names.into_iter().take(classes).chain((known..classes).map(|class| class.to_string())).collect()
}

/// The confusion matrix as a table: a row for each true class, a column for each predicted one.
pub(super) fn confusion(matrix: &[Vec<u64>], names: &[String]) -> String {
    let wide = |texts: &mut dyn Iterator<Item = usize>| texts.max().unwrap_or(0);
    let chars = |text: &String| text.chars().count();
    let head = wide(&mut names.iter().map(chars)).max("confusion".len());
    let widths: Vec<usize> = (0..names.len())
        .map(|class| {
            let counts = matrix.iter().map(|row| row.get(class).map_or(0, |n| n.to_string().len()));
            wide(&mut counts.chain([chars(&names[class])]))
        })
        .collect();
    let line = |name: &str, cells: &mut dyn Iterator<Item = String>| {
        let cells: String = cells.zip(&widths).map(|(cell, width)| format!("  {cell:>width$}")).collect();
        format!("{name:>head$}{cells}")
    };
    let rows = names.iter().zip(matrix);
    let rows = rows.map(|(name, row)| line(name, &mut row.iter().map(u64::to_string)));
    let first = line("confusion", &mut names.iter().cloned());
    std::iter::once(first)
        .chain(rows)
        .chain(["each row is a true class, each column a predicted one".to_owned()])
        .collect::<Vec<_>>()
        .join("\n")
}

/// Says that losses are of standardised targets, where they are.
pub(super) fn unit_note(data: &Dataset) -> Option<String> {
    data.target_unit()?;
    let Some(Encoding::Table(table)) = data.encoding() else { return None };
    let (mean, std) = table.target.standardised()?;
    let name = &table.target.name;
    Some(format!(
        "\"{name}\" is standardised, ({name} - {mean:.6}) / {std:.6}: losses are of that number; mae and rmse are in the \
         unit of \"{name}\""
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_confusion_matrix_has_the_names_of_its_classes() {
        let names = named(Some(vec!["cat".into(), "elephant".into()]), 3);
        assert_eq!(names, ["cat", "elephant", "2"]);
        let text = confusion(&[vec![17, 0, 3], vec![2, 15, 0], vec![0, 0, 1234]], &names);
        let want = "\
confusion  cat  elephant     2
      cat   17         0     3
 elephant    2        15     0
        2    0         0  1234
each row is a true class, each column a predicted one";
        assert_eq!(text, want);
        assert_eq!(named(None, 2), ["0", "1"]);
    }
}
