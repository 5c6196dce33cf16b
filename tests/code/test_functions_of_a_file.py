import pytest

from app.code.functions import functions, plain_comment
from app.code.languages import LANGUAGES, language_named, language_of_path
from app.pipeline import LANGUAGES as PIPELINE_LANGUAGES

SOURCES = {
    "go": """package heap

// Push adds an item.
// It may grow the heap.
func (h *Heap) Push(item int) {
\th.items = append(h.items, item)
}
""",
    "java": """public class Heap {
    interface Visitor { void visit(Heap heap); }

    /**
     * Push adds an item.
     * It may grow the heap.
     */
    @Override
    public void push(int item) {
        Runnable later = new Runnable() { public void run() { grow(); } };
    }
}
""",
    "javascript": """class Heap {
  /**
   * Push adds an item.
   * It may grow the heap.
   */
  push(item) {
    this.items.map(function inner(x) { return x; });
  }
}
""",
    "php": """<?php
class Heap {
    # Push adds an item.
    # It may grow the heap.
    public function push($item) {
        $this->items[] = $item;
    }
}
""",
    "python": '''class Heap:
    @property
    def push(self):
        """Push adds an item.
        It may grow the heap.
        """
        def inner(): ...
        return inner
''',
    "ruby": """class Heap
  # Push adds an item.
  # It may grow the heap.
  def push(item)
    @items << item
  end
end
""",
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_method_is_found_once_with_its_class_and_its_comment(language: str):
    found = list(functions(SOURCES[language], language))

    assert [function.name.lower() for function in found] == ["heap.push"]
    assert found[0].comment == "Push adds an item.\nIt may grow the heap."


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_lines_of_a_function_are_those_of_its_file_and_its_code_is_not_indented(language: str):
    lines = SOURCES[language].splitlines()

    for function in functions(SOURCES[language], language):
        of_file = [line.strip() for line in lines[function.start_line - 1 : function.end_line]]
        assert [line.strip() for line in function.code.splitlines()] == of_file
        assert not function.code[0].isspace()


def test_javascript_functions_are_found_under_the_names_they_are_given():
    source = """
// a
export const first = (x) => x;
// b
Heap.prototype.second = function (x) { return x; };
module.exports = {
  // c
  third: function (x) { return x; },
};
"""
    found = [(f.name, f.comment) for f in functions(source, "javascript")]

    assert found == [("first", "a"), ("Heap.prototype.second", "b"), ("third", "c")]


def test_a_data_file_of_a_hundred_thousand_numbers_is_read_in_one_walk():
    source = "var table = [" + "1, " * 100_000 + "];\n// Add.\nfunction add(a, b) { return a + b; }\n"

    assert [(f.name, f.comment) for f in functions(source, "javascript")] == [("add", "Add.")]


def test_a_comment_with_an_empty_line_below_it_belongs_to_no_function():
    assert next(functions("// The licence.\n\nfunction f() {}\n", "javascript")).comment == ""


def test_columns_and_lines_survive_letters_of_several_bytes_and_form_feeds():
    source = 'x = "ü\u2028"\n\x0c\ndef größe(ß):\n    """Größe."""\n    return "é"\n'

    (function,) = functions(source, "python")

    assert function.code == 'def größe(ß):\n    """Größe."""\n    return "é"'
    assert function.start_line == 3


def test_python_that_does_not_parse_says_so_and_the_others_read_around_a_fault():
    with pytest.raises(SyntaxError):
        list(functions("def f(:\n", "python"))
    assert [f.name for f in functions("func a() {}\nfunc ( {\n", "go")] == ["a"]


@pytest.mark.parametrize(
    ("marked", "plain"),
    [
        ("// one\n// two", "one\ntwo"),
        ("/** one */", "one"),
        ("/*\n * one\n *   two\n */", "one\n  two"),
        ("# one", "one"),
        ("=begin\none\n=end", "one"),
        ("already plain\n* a list", "already plain\n* a list"),
    ],
)
def test_a_comment_loses_its_markers_and_nothing_else(marked: str, plain: str):
    assert plain_comment(marked) == plain


def test_a_language_is_known_by_its_usual_spellings_and_extensions_only():
    assert language_named(" Golang ") == "go"
    assert language_named("JS") == "javascript"
    assert language_named("c++") is None
    assert language_of_path("a/b/Heap.JAVA") == "java"
    assert language_of_path("README") is None


def test_the_languages_are_those_of_the_pipeline():
    assert tuple(LANGUAGES) == PIPELINE_LANGUAGES
