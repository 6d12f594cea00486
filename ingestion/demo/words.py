"""The words of the retail world: names, cities, brands and goods. Every combination is invented.

Weights are whole numbers; a weight of 3 is drawn three times as often as a weight of 1.
E-mail domains end in `.example`, so that no mail can reach a person.
"""

from __future__ import annotations

FIRST_NAMES = """
Adriana Alan Alice Amanda Ana André Antônio Aparecida Beatriz Bernardo Bianca Breno Bruna Bruno Caio Camila Carla
Carlos Cecília César Cláudia Cristiane Daniel Débora Diego Eduardo Elaine Eliane Érica Fábio Felipe Fernanda Flávia
Francisca Gabriel Giovana Guilherme Gustavo Heitor Helena Henrique Hugo Igor Isabela Jéssica João Joaquim José Júlia
Juliana Larissa Laura Leandro Letícia Lívia Lorena Luan Lucas Luciana Luís Luíza Manuela Marcelo Márcia Marcos Mariana
Marina Matheus Miguel Mônica Murilo Natália Nicolas Otávio Patrícia Paulo Pedro Rafael Raquel Raul Renata Ricardo
Roberto Rodrigo Rosângela Samuel Sandra Sérgio Simone Sofia Tânia Tatiane Thiago Tiago Valéria Vanessa Vinícius Vitória
Yasmin
""".split()  # noqa: SIM905  (ninety quoted names read worse)

SURNAMES = """
Almeida Alves Amaral Andrade Antunes Araújo Assis Azevedo Barbosa Barros Batista Bezerra Borges Braga Brito Cabral
Camargo Campos Cardoso Carneiro Carvalho Castro Cavalcanti Conceição Correia Costa Coutinho Cruz Cunha Dias Duarte
Esteves Falcão Farias Fernandes Ferreira Figueiredo Fonseca Franco Freitas Furtado Garcia Gomes Gonçalves Guimarães
Lacerda Leite Lima Lopes Macedo Machado Magalhães Maia Marinho Marques Martins Medeiros Melo Mendes Miranda Monteiro
Moraes Moreira Moura Nascimento Neves Nogueira Novaes Nunes Oliveira Pacheco Paiva Peixoto Pereira Pinheiro Pinto Pires
Queiroz Ramos Reis Ribeiro Rocha Rodrigues Sales Salles Sampaio Santana Santos Silva Siqueira Soares Souza Tavares
Teixeira Toledo Torres Vargas Vasconcelos Vieira Xavier
""".split()  # noqa: SIM905  (ninety quoted names read worse)

MAIL_DOMAINS = ["correio.example", "caixapostal.example", "lojista.example", "escritorio.example"]

SEGMENTS = [("Consumer", 62), ("Small Business", 22), ("Corporate", 11), ("Public Sector", 5)]

# region, city, area code, weight
CITIES = [
    ("North", "Manaus", 92, 3),
    ("North", "Belém", 91, 3),
    ("North", "Porto Velho", 69, 1),
    ("North", "Macapá", 96, 1),
    ("North", "Palmas", 63, 1),
    ("Northeast", "Salvador", 71, 6),
    ("Northeast", "Fortaleza", 85, 6),
    ("Northeast", "Recife", 81, 5),
    ("Northeast", "São Luís", 98, 2),
    ("Northeast", "Maceió", 82, 2),
    ("Northeast", "Natal", 84, 2),
    ("Northeast", "João Pessoa", 83, 2),
    ("Central-West", "Brasília", 61, 5),
    ("Central-West", "Goiânia", 62, 3),
    ("Central-West", "Campo Grande", 67, 2),
    ("Central-West", "Cuiabá", 65, 1),
    ("Southeast", "São Paulo", 11, 18),
    ("Southeast", "Rio de Janeiro", 21, 10),
    ("Southeast", "Belo Horizonte", 31, 6),
    ("Southeast", "Campinas", 19, 4),
    ("Southeast", "Vitória", 27, 2),
    ("Southeast", "Ribeirão Preto", 16, 2),
    ("South", "Curitiba", 41, 5),
    ("South", "Porto Alegre", 51, 5),
    ("South", "Florianópolis", 48, 3),
    ("South", "Joinville", 47, 2),
    ("South", "Londrina", 43, 1),
]

# category, letters of the SKU, brands
CATEGORIES = [
    ("Electronics", "ELE", ["Aurora", "Voltix", "Nimbus", "Kaito", "Sonara"]),
    ("Home", "HOM", ["Casa Clara", "Ipê", "Dona Rosa", "Solar"]),
    ("Toys", "TOY", ["Curumim", "Pipa", "Tatu Bola", "Bambolê"]),
    ("Sports", "SPO", ["Arara", "Corredor", "Onda", "Pico Alto"]),
    ("Fashion", "FAS", ["Maré", "Linho & Cia", "Jacarandá", "Beira", "Trama"]),
    ("Grocery", "GRO", ["Fazenda Boa", "Serra Azul", "Sertão", "Quintal"]),
]

# category, name, lowest and highest price in whole BRL
GOODS = [
    ("Electronics", "Bluetooth Headphones", 129, 899),
    ("Electronics", "Smartphone", 899, 4999),
    ("Electronics", "Smart TV 50 in", 1899, 3999),
    ("Electronics", "Notebook 14 in", 2299, 6499),
    ("Electronics", "Portable Speaker", 99, 699),
    ("Electronics", "Smartwatch", 249, 1899),
    ("Electronics", "Wireless Mouse", 39, 249),
    ("Electronics", "Power Bank", 59, 259),
    ("Electronics", "Webcam Full HD", 119, 449),
    ("Electronics", "Tablet 10 in", 699, 2499),
    ("Home", "Coffee Maker", 119, 799),
    ("Home", "Blender", 99, 399),
    ("Home", "Air Fryer", 249, 799),
    ("Home", "Bed Linen Set", 89, 399),
    ("Home", "Cookware Set", 199, 899),
    ("Home", "Desk Lamp", 49, 249),
    ("Home", "Ceiling Fan", 159, 499),
    ("Home", "Bath Towel", 29, 99),
    ("Home", "Bookshelf", 199, 899),
    ("Home", "Wall Clock", 39, 149),
    ("Toys", "Building Blocks", 49, 349),
    ("Toys", "Jigsaw Puzzle", 29, 149),
    ("Toys", "Board Game", 59, 299),
    ("Toys", "Plush Bear", 39, 159),
    ("Toys", "Remote Control Car", 89, 499),
    ("Toys", "Doll House", 149, 599),
    ("Toys", "Card Game", 19, 89),
    ("Toys", "Modelling Clay", 15, 69),
    ("Sports", "Running Shoes", 199, 899),
    ("Sports", "Football", 69, 299),
    ("Sports", "Yoga Mat", 49, 199),
    ("Sports", "Dumbbell Pair", 79, 399),
    ("Sports", "Mountain Bike", 999, 4499),
    ("Sports", "Swimming Goggles", 29, 149),
    ("Sports", "Camping Tent", 199, 1199),
    ("Sports", "Water Bottle", 19, 99),
    ("Sports", "Cycling Helmet", 99, 399),
    ("Fashion", "Cotton T-Shirt", 29, 119),
    ("Fashion", "Slim Jeans", 99, 299),
    ("Fashion", "Summer Dress", 89, 349),
    ("Fashion", "Leather Belt", 49, 199),
    ("Fashion", "Sunglasses", 79, 499),
    ("Fashion", "Canvas Sneakers", 99, 349),
    ("Fashion", "Beach Sandals", 25, 99),
    ("Fashion", "Rain Jacket", 129, 499),
    ("Fashion", "Backpack", 89, 399),
    ("Fashion", "Wool Sweater", 99, 349),
    ("Grocery", "Ground Coffee 500 g", 18, 49),
    ("Grocery", "Brown Rice 5 kg", 24, 49),
    ("Grocery", "Black Beans 1 kg", 8, 16),
    ("Grocery", "Olive Oil 500 ml", 29, 89),
    ("Grocery", "Cassava Flour 1 kg", 7, 16),
    ("Grocery", "Dark Chocolate 100 g", 9, 29),
    ("Grocery", "Brazil Nuts 250 g", 24, 59),
    ("Grocery", "Orange Juice 1 l", 8, 19),
    ("Grocery", "Whole Wheat Pasta 500 g", 6, 15),
    ("Grocery", "Guava Jam 300 g", 9, 24),
    ("Grocery", "Organic Honey 500 g", 24, 69),
]

# Products of one kind are distinguished by these words, then by a number.
VARIANTS = ["Classic", "Plus", "Eco", "Prime", "Light", "Original"]

# Orders by hour of the day in Brazil, midnight first.
HOUR_WEIGHTS = [2, 1, 1, 1, 1, 2, 3, 4, 6, 7, 8, 8, 9, 8, 7, 7, 7, 8, 9, 10, 10, 8, 6, 4]

CHANNELS = [("WEB", 46), ("APP", 36), ("STORE", 18)]
