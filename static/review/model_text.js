// What the model wrote in a field: the present text where nobody changed it. Line ends are those of fields.

export const modelText = (field) => (field.dataset.model ?? field.dataset.original).replace(/\r\n?/g, "\n");
